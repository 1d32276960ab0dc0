package invoke_test

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// Some faults need a rare meeting of contracts; -rapid.checks still overrides.
	if err := flag.Set("rapid.checks", "300"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}
