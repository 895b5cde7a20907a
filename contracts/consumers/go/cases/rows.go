package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	// Registers every generated package; run.sh writes it.
	_ "signalbox.dev/contracts/consumers/go/generated"
)

// A debug build on a loaded machine still answers in time.
const rowTimeout = 60 * time.Second

// row is one line of rpcs.json. No RPC is named here: a row's method is found in the
// descriptors that the generated packages registered.
type row struct {
	RPC      string            `json:"rpc"`
	Kind     string            `json:"kind"`
	Status   string            `json:"status"`
	Request  json.RawMessage   `json:"request"`
	Requests []json.RawMessage `json:"requests"`
	Expect   json.RawMessage   `json:"expect"`
}

// name is such as RouterService.ListModels.
func (r row) name() string {
	return strings.ReplaceAll(r.RPC[strings.LastIndex(r.RPC, ".")+1:], "/", ".")
}

// group is the one that the row counts in.
func (r row) group() string {
	if r.Status == "UNIMPLEMENTED" {
		return "unimplemented"
	}
	return r.Kind
}

func readRows(path string) ([]row, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var table struct {
		RPCs []row `json:"rpcs"`
	}
	if err := json.Unmarshal(text, &table); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for i, each := range table.RPCs {
		if each.Requests == nil {
			if each.Request == nil {
				each.Request = json.RawMessage("{}")
			}
			table.RPCs[i].Requests = []json.RawMessage{each.Request}
		}
	}
	return table.RPCs, nil
}

// rpcs are the methods of Signalbox's generated packages, by "package.Service/Method".
type rpcs map[string]protoreflect.MethodDescriptor

func generatedRPCs() rpcs {
	found := rpcs{}
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		services := file.Services()
		for i := 0; i < services.Len() && strings.HasPrefix(file.Path(), "signalbox/"); i++ {
			methods := services.Get(i).Methods()
			for j := 0; j < methods.Len(); j++ {
				method := methods.Get(j)
				found[string(method.Parent().FullName())+"/"+string(method.Name())] = method
			}
		}
		return true
	})
	return found
}

func kindOf(method protoreflect.MethodDescriptor) string {
	switch {
	case method.IsStreamingClient() && method.IsStreamingServer():
		return "bidirectional"
	case method.IsStreamingClient():
		return "client_stream"
	case method.IsStreamingServer():
		return "server_stream"
	}
	return "unary"
}

// checkTable requires one row for each RPC, and an RPC of the same kind for each row; an
// older contract may lack some.
func checkTable(rows []row, methods rpcs, older bool) error {
	seen := map[string]bool{}
	for _, each := range rows {
		if seen[each.RPC] {
			return fmt.Errorf("two rows for %s", each.RPC)
		}
		seen[each.RPC] = true
		method := methods[each.RPC]
		switch {
		case method == nil && !older:
			return fmt.Errorf("no RPC in the protos for %s", each.RPC)
		case method != nil && kindOf(method) != each.Kind:
			return fmt.Errorf("%s is %s, the row says %s", each.name(), kindOf(method), each.Kind)
		}
	}
	var missing []string
	for name := range methods {
		if !seen[name] {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	if missing != nil {
		return fmt.Errorf("no row in rpcs.json for %v", missing)
	}
	return nil
}

// newerPart says what of a row an older contract does not have, if anything.
func newerPart(each row, methods rpcs) string {
	method := methods[each.RPC]
	if method == nil {
		return "the RPC is newer"
	}
	for _, request := range each.Requests {
		if _, err := messageOf(method.Input(), request); err != nil {
			return fmt.Sprintf("a field is newer: %v", err)
		}
	}
	if each.Expect != nil {
		if _, err := messageOf(method.Output(), each.Expect); err != nil {
			return fmt.Sprintf("a field is newer: %v", err)
		}
	}
	return ""
}

// runRow calls a row's method and compares what comes.
func runRow(each row, methods rpcs, conn *grpc.ClientConn) error {
	method := methods[each.RPC]
	if method == nil {
		return fmt.Errorf("no such RPC in the generated code")
	}
	wanted, ok := code.Code_value[each.Status]
	if !ok {
		return fmt.Errorf("rpcs.json: %q is no status", each.Status)
	}
	var requests []proto.Message
	for _, request := range each.Requests {
		message, err := messageOf(method.Input(), request)
		if err != nil {
			return fmt.Errorf("rpcs.json: request: %w", err)
		}
		requests = append(requests, message)
	}
	answers, err := call(conn, "/"+each.RPC, method, requests)
	if codes.Code(wanted) == codes.OK {
		if err != nil {
			return err
		}
		return checkAnswers(each, method, answers)
	}
	details, err := refusal(codes.Code(wanted), err)
	if err != nil {
		return err
	}
	if details.Code == codes.Unimplemented &&
		(details.Domain != "signalbox" || details.Reason != "NOT_IMPLEMENTED") {
		return fmt.Errorf("ErrorInfo %s/%s instead of signalbox/NOT_IMPLEMENTED",
			details.Domain, details.Reason)
	}
	return nil
}

// call sends the requests and reads the answer to its end.
func call(conn *grpc.ClientConn, path string, method protoreflect.MethodDescriptor, requests []proto.Message) ([]proto.Message, error) {
	ctx, cancel := context.WithTimeout(context.Background(), rowTimeout)
	defer cancel()
	if kindOf(method) == "unary" {
		answer, err := emptyMessage(method.Output())
		if err != nil {
			return nil, err
		}
		return []proto.Message{answer}, conn.Invoke(ctx, path, requests[0], answer)
	}
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{
		ClientStreams: method.IsStreamingClient(),
		ServerStreams: method.IsStreamingServer(),
	}, path)
	if err != nil {
		return nil, err
	}
	for _, request := range requests {
		// EOF: the server has ended the call; receiving tells why.
		if err := stream.SendMsg(request); err == io.EOF {
			break
		} else if err != nil {
			return nil, err
		}
	}
	if err := stream.CloseSend(); err != nil {
		return nil, err
	}
	var answers []proto.Message
	for {
		answer, err := emptyMessage(method.Output())
		if err != nil {
			return nil, err
		}
		if err := stream.RecvMsg(answer); err == io.EOF {
			return answers, nil
		} else if err != nil {
			return answers, err
		}
		answers = append(answers, answer)
		if !method.IsStreamingServer() {
			return answers, nil
		}
	}
}

func checkAnswers(each row, method protoreflect.MethodDescriptor, answers []proto.Message) error {
	if each.Expect == nil {
		return nil
	}
	// A name that no field has can never be found: a mistake of the row.
	if _, err := messageOf(method.Output(), each.Expect); err != nil {
		return fmt.Errorf("rpcs.json: expect: %w", err)
	}
	if len(answers) == 0 {
		return fmt.Errorf("the stream ended without a message")
	}
	// Default values, so that a row can expect 0 or "".
	text, err := protojson.MarshalOptions{UseProtoNames: true, EmitDefaultValues: true}.Marshal(answers[0])
	if err != nil {
		return err
	}
	var expect, found any
	if err := json.Unmarshal(each.Expect, &expect); err != nil {
		return err
	}
	if err := json.Unmarshal(text, &found); err != nil {
		return err
	}
	return findIn(expect, found, "")
}

// findIn gives an error that says where expect is no part of found.
func findIn(expect, found any, path string) error {
	switch expect := expect.(type) {
	case map[string]any:
		if found, ok := found.(map[string]any); ok {
			for name, value := range expect {
				if err := findIn(value, found[name], path+"."+name); err != nil {
					return err
				}
			}
			return nil
		}
	case []any:
		if found, ok := found.([]any); ok {
			if len(found) < len(expect) {
				return fmt.Errorf("%s has %d elements, not %d", path, len(found), len(expect))
			}
			for i, value := range expect {
				if err := findIn(value, found[i], fmt.Sprintf("%s[%d]", path, i)); err != nil {
					return err
				}
			}
			return nil
		}
	}
	if !reflect.DeepEqual(expect, found) {
		return fmt.Errorf("%s is %#v instead of %#v", path, found, expect)
	}
	return nil
}

func messageOf(descriptor protoreflect.MessageDescriptor, text json.RawMessage) (proto.Message, error) {
	message, err := emptyMessage(descriptor)
	if err != nil {
		return nil, err
	}
	return message, protojson.Unmarshal(text, message)
}

// emptyMessage makes a message of the generated type.
func emptyMessage(descriptor protoreflect.MessageDescriptor) (proto.Message, error) {
	generated, err := protoregistry.GlobalTypes.FindMessageByName(descriptor.FullName())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", descriptor.FullName(), err)
	}
	return generated.New().Interface(), nil
}
