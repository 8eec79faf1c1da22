package plugins

// SetupRemotePlugins refuses.
func SetupRemotePlugins(*Manager, map[string]Descriptor) error { return errWithout }

// SetupLocalPlugins refuses.
func SetupLocalPlugins(map[string]LocalDescriptor) error { return errWithout }
