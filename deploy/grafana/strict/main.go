// strict: whether Grafana's own types know every field of dashboards: strict FILE...
// Built by deploy/third_party/go_program.sh, run by tests/monitoring/strict_test.py.
package main

import (
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// The SDK collects faults in a list and answers it even when it is empty.
func real(fault error) bool { return fault != nil && fault.Error() != "" }

func check(text []byte) error {
	var decoded dashboard.Dashboard
	if fault := decoded.UnmarshalJSONStrict(text); real(fault) {
		return fault
	}
	if fault := decoded.Validate(); real(fault) {
		return fault
	}
	return nil
}

func main() {
	plugins.RegisterDefaultPlugins()
	faults := 0
	for _, file := range os.Args[1:] {
		text, fault := os.ReadFile(file)
		if fault == nil {
			fault = check(text)
		}
		if fault != nil {
			fmt.Printf("%s: %v\n", file, fault)
			faults++
		}
	}
	if faults > 0 {
		os.Exit(1)
	}
}
