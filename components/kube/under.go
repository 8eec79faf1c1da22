package kube

// Under returns the faults seen from what contains their fields, by a dotted path: cpu under classes.small is
// classes.small.cpu.
func (f Faults) Under(path string) Faults {
	under := make(Faults, len(f))
	for i, fault := range f {
		under[i] = &Fault{Field: path + "." + fault.Field, Value: fault.Value, Rule: fault.Rule}
	}
	return under
}
