package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"signalbox.dev/contracts/consumers/go/signalbox"
)

// report counts cases and prints a line for each, as contracts/README.md says.
type report struct {
	passed  map[string]int
	failed  int
	skipped int
}

func newReport() *report { return &report{passed: map[string]int{}} }

// run runs a case, which fails when test gives an error.
func (r *report) run(transport, group, name string, test func() error) {
	path := transport + "/" + group + "/" + name
	if err := test(); err != nil {
		r.failed++
		why := err.Error()
		if said, ok := status.FromError(err); ok {
			why = nameOf(said.Code()) + ": " + said.Message()
		}
		fmt.Printf("FAIL %s: %s\n", path, oneLine(why))
		return
	}
	r.passed[group]++
	fmt.Printf("ok   %s\n", path)
}

// skip tells of a case that this contract cannot have.
func (r *report) skip(transport, group, name, why string) {
	r.skipped++
	fmt.Printf("skip %s/%s/%s: %s\n", transport, group, name, oneLine(why))
}

// finish prints the summary and gives the exit code.
func (r *report) finish() int {
	if r.skipped > 0 {
		fmt.Printf("%d skipped: not in this contract\n", r.skipped)
	}
	summary, err := json.Marshal(map[string]any{
		"passed": r.passed, "failed": r.failed, "skipped": r.skipped,
	})
	if err != nil {
		panic(err) // Numbers and strings have a JSON.
	}
	fmt.Printf("SUMMARY %s\n", summary)
	if r.failed > 0 {
		return 1
	}
	return 0
}

// refusal requires that err is of this code, and gives what it says.
func refusal(wanted codes.Code, err error) (signalbox.Details, error) {
	details := signalbox.DetailsOf(err)
	switch {
	case err == nil:
		return details, fmt.Errorf("OK instead of %s", nameOf(wanted))
	case details.Code != wanted:
		return details, fmt.Errorf("%s instead of %s: %s",
			nameOf(details.Code), nameOf(wanted), details.Message)
	}
	return details, nil
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// nameOf gives the name that all languages share, such as DEADLINE_EXCEEDED.
func nameOf(c codes.Code) string { return code.Code(int32(c)).String() }
