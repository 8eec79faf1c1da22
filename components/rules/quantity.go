package rules

import (
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"strings"
)

// quantityForm is the grammar of a Kubernetes resource quantity without exponents: a decimal number and a suffix.
// https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
var quantityForm = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$`)

// quantityUnits are the factors of the suffixes; powers of 1000 and of 1024.
var quantityUnits = map[string]*big.Rat{
	"":  big.NewRat(1, 1),
	"m": big.NewRat(1, 1000),
	"k": power(1000, 1), "M": power(1000, 2), "G": power(1000, 3), "T": power(1000, 4), "P": power(1000, 5), "E": power(1000, 6),
	"Ki": power(1024, 1), "Mi": power(1024, 2), "Gi": power(1024, 3), "Ti": power(1024, 4), "Pi": power(1024, 5), "Ei": power(1024, 6),
}

func power(base, exponent int64) *big.Rat {
	return new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(base), big.NewInt(exponent), nil))
}

// ParseQuantity returns the exact value of a positive Kubernetes quantity such as 250m, 128Mi or 1.5.
func ParseQuantity(text string) (*big.Rat, error) {
	parts := quantityForm.FindStringSubmatch(text)
	if parts == nil {
		return nil, errors.New("not a Kubernetes quantity; write a number with a suffix and no space, such as 500m for CPU or 128Mi for memory")
	}
	number, ok := new(big.Rat).SetString(parts[1])
	if !ok {
		return nil, errors.New("not a number")
	}
	if number.Sign() == 0 {
		return nil, errors.New("zero means none at all; write a quantity above zero, such as 100m for CPU or 128Mi for memory")
	}
	return number.Mul(number, quantityUnits[parts[2]]), nil
}

// WholeNumber returns a valid quantity without suffix, for programs that know none or others: 64Mi becomes 67108864. An invalid
// one stays as it is, since its own check reports it.
func WholeNumber(quantity string) string {
	number, err := ParseQuantity(quantity)
	if err != nil {
		return quantity
	}
	return number.FloatString(0)
}

// FormatBytes returns a number of bytes as a quantity of memory or storage, in whole Gi or else rounded up to whole Mi.
func FormatBytes(bytes *big.Rat) string {
	if gi := new(big.Rat).Quo(bytes, quantityUnits["Gi"]); gi.IsInt() {
		return gi.Num().String() + "Gi"
	}
	return ceil(bytes, quantityUnits["Mi"]).String() + "Mi"
}

// FormatNumber returns a number, of CPUs for example, as a quantity in decimals, rounded up to thousandths.
func FormatNumber(number *big.Rat) string {
	thousandths := new(big.Rat).SetFrac(ceil(number, quantityUnits["m"]), big.NewInt(1000))
	return strings.TrimRight(strings.TrimRight(thousandths.FloatString(3), "0"), ".")
}

// ceil returns how many whole units hold a value.
func ceil(value, unit *big.Rat) *big.Int {
	units := new(big.Rat).Quo(value, unit)
	whole, rest := new(big.Int).QuoRem(units.Num(), units.Denom(), new(big.Int))
	if rest.Sign() > 0 {
		whole.Add(whole, big.NewInt(1))
	}
	return whole
}

// CheckCPU refuses what is no positive quantity, and a CPU quantity that was meant as memory.
func CheckCPU(text string) error {
	value, err := ParseQuantity(text)
	if err != nil {
		return err
	}
	if value.Cmp(big.NewRat(1024, 1)) > 0 {
		return errors.New("more than 1024 CPUs; write cores, or thousandths of one, such as 250m")
	}
	return nil
}

// CheckBytes refuses what is no positive quantity of memory or storage, and one so small that its suffix was forgotten.
func CheckBytes(text string) error {
	value, err := ParseQuantity(text)
	if err != nil {
		return err
	}
	if value.Cmp(power(1024, 2)) < 0 {
		return fmt.Errorf("less than 1Mi, so its suffix is probably wrong; write for example 128Mi")
	}
	return nil
}

// CheckRate refuses what is no positive quantity of bytes a second, and one so small that its suffix was forgotten.
func CheckRate(text string) error {
	value, err := ParseQuantity(text)
	if err != nil {
		return err
	}
	if value.Cmp(power(1024, 1)) < 0 {
		return errors.New("less than 1Ki a second, so its suffix is probably wrong; write for example 4Ki")
	}
	return nil
}

// CompareQuantities returns the order of two valid quantities: -1, 0 or 1 as in a compared with b. An invalid one
// compares as equal, since its own check reports it.
func CompareQuantities(a, b string) int {
	x, errX := ParseQuantity(a)
	y, errY := ParseQuantity(b)
	if errX != nil || errY != nil {
		return 0
	}
	return x.Cmp(y)
}
