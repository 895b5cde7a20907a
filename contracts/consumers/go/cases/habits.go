package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"

	embeddingsv1 "signalbox.dev/contracts/consumers/go/generated/signalbox/embeddings/v1"
	routerv1 "signalbox.dev/contracts/consumers/go/generated/signalbox/router/v1"
	"signalbox.dev/contracts/consumers/go/signalbox"
)

const many = 200

// habits are the cases that are no rows: errors, cancellation, deadlines, metadata,
// retries.
type habits struct {
	client   *signalbox.Client
	connect  connect
	upstream upstream
}

func (h habits) run(transport string, r *report) {
	cases := []struct {
		group, name string
		test        func(context.Context) error
	}{
		{"unary", "Client.Chat", h.chat},
		{"server_stream", "Client.StreamChat", h.streamChat},
		{"bidirectional", "reflection", h.reflection},
		{"error_details", "BadRequest names the field", h.badRequest},
		{"error_details", "RetryInfo says when", h.retryInfo},
		{"cancellation", "a stream", h.cancelledStream},
		{"cancellation", "leaving the loop", h.abandonedStream},
		{"deadline", "stalled model", h.deadline},
		{"deadline", "service config", h.deadlineOfConfig},
		{"metadata", "request id and trace", h.metadata},
		{"retry", "flaky model", h.retry},
		{"retry", "none without a policy", h.noRetry},
		{"concurrency", fmt.Sprintf("%d calls", many), h.concurrency},
	}
	for _, each := range cases {
		r.run(transport, each.group, each.name, func() error {
			ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
			defer cancel()
			return each.test(ctx)
		})
	}
}

func (h habits) chat(ctx context.Context) error {
	answer, err := h.client.Chat(ctx, "echo", "hello contract")
	if err != nil {
		return err
	}
	return same("the answer", answer, "hello contract")
}

func (h habits) streamChat(ctx context.Context) error {
	var answer strings.Builder
	for text, err := range h.client.StreamChat(ctx, "echo", "hello contract") {
		if err != nil {
			return err
		}
		answer.WriteString(text)
	}
	return same("the answer", answer.String(), "hello contract")
}

// reflection asks the second question when the first answer has come.
func (h habits) reflection(ctx context.Context) error {
	const service = "signalbox.router.v1.RouterService"
	stream, err := reflectionv1.NewServerReflectionClient(h.client.Conn).ServerReflectionInfo(ctx)
	if err != nil {
		return err
	}
	ask := func(request *reflectionv1.ServerReflectionRequest) (*reflectionv1.ServerReflectionResponse, error) {
		if err := stream.Send(request); err != nil {
			return nil, err
		}
		return stream.Recv()
	}
	listed, err := ask(&reflectionv1.ServerReflectionRequest{
		MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{},
	})
	if err != nil {
		return err
	}
	services := listed.GetListServicesResponse().GetService()
	if !slices.ContainsFunc(services, func(each *reflectionv1.ServiceResponse) bool {
		return each.GetName() == service
	}) {
		return fmt.Errorf("%s is not in %v", service, services)
	}
	described, err := ask(&reflectionv1.ServerReflectionRequest{
		MessageRequest: &reflectionv1.ServerReflectionRequest_FileContainingSymbol{
			FileContainingSymbol: service,
		},
	})
	if err != nil {
		return err
	}
	if len(described.GetFileDescriptorResponse().GetFileDescriptorProto()) == 0 {
		return fmt.Errorf("no file for %s", service)
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	if _, err := stream.Recv(); err != io.EOF {
		return fmt.Errorf("not the end of the stream: %v", err)
	}
	return nil
}

func (h habits) badRequest(ctx context.Context) error {
	_, err := h.client.Embeddings.CreateEmbeddings(ctx,
		&embeddingsv1.CreateEmbeddingsRequest{Model: "all-MiniLM-L6-v2"})
	details, err := refusal(codes.InvalidArgument, err)
	if err != nil {
		return err
	}
	if len(details.Violations) != 1 || details.Violations[0].Field != "input" {
		return fmt.Errorf("BadRequest names %v, not input", details.Violations)
	}
	return errors.Join(
		same("ErrorInfo.domain", details.Domain, "signalbox"),
		same("ErrorInfo.reason", details.Reason, "INVALID_FIELD"),
	)
}

func (h habits) retryInfo(ctx context.Context) error {
	_, err := h.client.Chat(ctx, "limited", "hello")
	details, err := refusal(codes.ResourceExhausted, err)
	if err != nil {
		return err
	}
	return errors.Join(
		same("ErrorInfo.domain", details.Domain, "signalbox"),
		same("RetryInfo", details.RetryAfter, 2*time.Second),
	)
}

func (h habits) cancelledStream(ctx context.Context) error {
	prompt := "hello " + randomHex(16)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var end error
	for _, err := range h.client.StreamChat(ctx, "slow", prompt) {
		end = err
		cancel()
	}
	if _, err := refusal(codes.Canceled, end); err != nil {
		return err
	}
	return h.upstream.waitFor(prompt, wasLeft)
}

func (h habits) abandonedStream(ctx context.Context) error {
	prompt := "hello " + randomHex(16)
	for _, err := range h.client.StreamChat(ctx, "slow", prompt) {
		if err != nil {
			return err
		}
		break
	}
	return h.upstream.waitFor(prompt, wasLeft)
}

func (h habits) deadline(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	return passesInTime(ctx, h.client)
}

func (h habits) deadlineOfConfig(ctx context.Context) error {
	client, err := h.connect(grpc.WithDefaultServiceConfig(
		`{"methodConfig": [{"name": [{}], "timeout": "0.3s"}]}`))
	if err != nil {
		return err
	}
	defer client.Close()
	return passesInTime(ctx, client)
}

// passesInTime requires that a call to a model that never answers ends at a deadline of
// 0.3 seconds.
func passesInTime(ctx context.Context, client *signalbox.Client) error {
	begun := time.Now()
	_, err := client.Chat(ctx, "stalled", "hello")
	took := time.Since(begun)
	if _, err := refusal(codes.DeadlineExceeded, err); err != nil {
		return err
	}
	if took < 250*time.Millisecond || took > 2*time.Second {
		return fmt.Errorf("after %v, not 0.3 s", took)
	}
	return nil
}

func (h habits) metadata(ctx context.Context) error {
	prompt, requestID, trace := "hello "+randomHex(16), randomHex(16), randomHex(16)
	ctx = metadata.AppendToOutgoingContext(ctx,
		"x-request-id", requestID,
		"traceparent", "00-"+trace+"-00f067aa0ba902b7-01")
	var header metadata.MD
	answer, err := h.client.Router.CreateChatCompletion(ctx, &routerv1.CreateChatCompletionRequest{
		Model:    "echo",
		Messages: []*routerv1.ChatMessage{{Role: "user", Content: prompt}},
	}, grpc.Header(&header))
	if err != nil {
		return err
	}
	return errors.Join(
		same("x-request-id", strings.Join(header.Get("x-request-id"), ","), requestID),
		same("signalbox.request_id", answer.GetSignalbox().GetRequestId(), requestID),
		h.upstream.waitFor(prompt, func(r record) bool {
			return strings.Contains(r.Traceparent, trace)
		}),
	)
}

func (h habits) retry(ctx context.Context) error {
	prompt := "hello " + randomHex(16)
	if err := h.upstream.forget(); err != nil {
		return err
	}
	answer, err := h.client.Chat(ctx, "flaky", prompt)
	if err != nil {
		return err
	}
	if answer == "" {
		return errors.New("the answer is empty")
	}
	records, err := h.upstream.records(prompt)
	if err != nil {
		return err
	}
	return same("tries", len(records), 3)
}

func (h habits) noRetry(ctx context.Context) error {
	if err := h.upstream.forget(); err != nil {
		return err
	}
	client, err := h.connect(grpc.WithDefaultServiceConfig("{}"))
	if err != nil {
		return err
	}
	defer client.Close()
	_, err = client.Chat(ctx, "flaky", "hello")
	details, err := refusal(codes.Unavailable, err)
	if err != nil {
		return err
	}
	return same("ErrorInfo.domain", details.Domain, "signalbox")
}

func (h habits) concurrency(ctx context.Context) error {
	failures := make([]error, many)
	var calls sync.WaitGroup
	for i := range many {
		calls.Go(func() {
			prompt := fmt.Sprintf("hello %d", i)
			answer, err := h.client.Chat(ctx, "echo", prompt)
			if err == nil {
				err = same("the answer", answer, prompt)
			}
			failures[i] = err
		})
	}
	calls.Wait()
	return errors.Join(failures...)
}

func same[T comparable](what string, found, wanted T) error {
	if found != wanted {
		return fmt.Errorf("%s is %#v instead of %#v", what, found, wanted)
	}
	return nil
}

// randomHex gives so many random bytes.
func randomHex(bytes int) string {
	text := make([]byte, bytes)
	rand.Read(text) // Never fails.
	return hex.EncodeToString(text)
}
