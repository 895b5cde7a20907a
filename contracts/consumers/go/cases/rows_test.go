package main

import (
	"encoding/json"
	"strings"
	"testing"
)

const router = "signalbox.router.v1.RouterService"

func decode(t *testing.T, text string) (value any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	return value
}

func TestAPartIsFound(t *testing.T) {
	found := decode(t, `{"a": 1, "list": [{"b": "x", "c": 0}, {"b": "y"}]}`)
	for _, part := range []string{`{}`, `{"a": 1}`, `{"list": []}`, `{"list": [{"b": "x"}]}`} {
		if err := findIn(decode(t, part), found, ""); err != nil {
			t.Errorf("%s: %v", part, err)
		}
	}
}

func TestWhatDiffersIsNamed(t *testing.T) {
	found := decode(t, `{"a": 1, "list": [{"b": "x"}]}`)
	for expect, where := range map[string]string{
		`{"a": 2}`:               `.a is 1 instead of 2`,
		`{"a": "1"}`:             `.a is 1 instead of "1"`,
		`{"z": 1}`:               `.z is <nil> instead of 1`,
		`{"list": [{"b": "y"}]}`: `.list[0].b is "x" instead of "y"`,
		`{"list": [{}, {}]}`:     `.list has 1 elements, not 2`,
		`{"a": {}}`:              `.a is 1 instead of map[string]interface {}{}`,
	} {
		if err := findIn(decode(t, expect), found, ""); err == nil || err.Error() != where {
			t.Errorf("%s: %v, not %s", expect, err, where)
		}
	}
}

func TestTheTableHasARowForEachRPC(t *testing.T) {
	methods := rpcs{}
	var rows []row
	for name, method := range generatedRPCs() {
		if strings.HasPrefix(name, router) {
			methods[name] = method
			rows = append(rows, row{RPC: name, Kind: kindOf(method)})
		}
	}
	if len(rows) < 2 {
		t.Fatalf("only %d RPCs of %s", len(rows), router)
	}
	newer := append([]row{{RPC: router + "/Newer", Kind: "unary"}}, rows...)
	wrongKind := append([]row{{RPC: rows[0].RPC, Kind: "client_stream"}}, rows[1:]...)
	for _, each := range []struct {
		name   string
		rows   []row
		older  bool
		refuse string
	}{
		{"complete", rows, false, ""},
		{"no row", rows[1:], false, "no row in rpcs.json"},
		{"no row, older contract", rows[1:], true, "no row in rpcs.json"},
		{"newer row", newer, false, "no RPC in the protos"},
		{"newer row, older contract", newer, true, ""},
		{"two rows", append([]row{rows[1]}, rows...), false, "two rows"},
		{"wrong kind", wrongKind, false, "the row says client_stream"},
	} {
		err := checkTable(each.rows, methods, each.older)
		if each.refuse == "" && err != nil {
			t.Errorf("%s: %v", each.name, err)
		}
		if each.refuse != "" && (err == nil || !strings.Contains(err.Error(), each.refuse)) {
			t.Errorf("%s: %v, not %q", each.name, err, each.refuse)
		}
	}
}
