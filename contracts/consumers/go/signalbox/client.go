// Package signalbox calls Signalbox: a connection, its generated clients, and errors
// with names.
package signalbox

import (
	"context"
	"errors"
	"io"
	"iter"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	embeddingsv1 "signalbox.dev/contracts/consumers/go/generated/signalbox/embeddings/v1"
	guardrailsv1 "signalbox.dev/contracts/consumers/go/generated/signalbox/guardrails/v1"
	routerv1 "signalbox.dev/contracts/consumers/go/generated/signalbox/router/v1"
)

// ServiceConfig holds for every call of a connection: gRPC applies it itself, so that no
// call site can forget it. Its shape is that of
// https://github.com/grpc/grpc/blob/master/doc/service_config.md.
//
// A deadline of a call's context can only be shorter than timeout. Retried is only what
// says that nothing was done, a stream until its first message. RESOURCE_EXHAUSTED names
// the time to wait in its details, which no policy reads: see [Details]. While most calls
// fail, retries would only add load; retryThrottling stops them then.
const ServiceConfig = `{
  "methodConfig": [
    {
      "name": [{}],
      "timeout": "60s",
      "retryPolicy": {
        "maxAttempts": 5,
        "initialBackoff": "0.1s",
        "maxBackoff": "2s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"]
      }
    },
    {
      "name": [{"service": "signalbox.router.v1.RouterService", "method": "StreamChatCompletion"}],
      "timeout": "600s",
      "retryPolicy": {
        "maxAttempts": 5,
        "initialBackoff": "0.1s",
        "maxBackoff": "2s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"]
      }
    }
  ],
  "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1}
}`

// Client is Signalbox behind one connection. Make one for each server and keep it: it may
// be used by all goroutines. All RPCs are on the generated clients. Their errors are gRPC
// statuses, which [DetailsOf] decodes.
//
// An API key is metadata, "authorization: Bearer KEY"; send one over TLS only.
type Client struct {
	Router     routerv1.RouterServiceClient
	Embeddings embeddingsv1.EmbeddingsServiceClient
	Guardrails guardrailsv1.GuardrailsServiceClient
	// Conn is the connection, for services that have no field here.
	Conn *grpc.ClientConn
}

// New makes a client of the server at "host:port". It connects at the first call. The
// credentials say how: [google.golang.org/grpc/credentials.NewTLS], or
// [google.golang.org/grpc/credentials/insecure.NewCredentials] on this machine or behind a
// mesh. Options come after those of this package and so replace them.
func New(target string, creds credentials.TransportCredentials, options ...grpc.DialOption) (*Client, error) {
	conn, err := grpc.NewClient(target, append([]grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithDefaultServiceConfig(ServiceConfig),
	}, options...)...)
	if err != nil {
		return nil, err
	}
	return &Client{
		Router:     routerv1.NewRouterServiceClient(conn),
		Embeddings: embeddingsv1.NewEmbeddingsServiceClient(conn),
		Guardrails: guardrailsv1.NewGuardrailsServiceClient(conn),
		Conn:       conn,
	}, nil
}

// Close closes the connection; calls at work end with CANCELLED.
func (c *Client) Close() error { return c.Conn.Close() }

// Chat gives the model's answer to one message.
func (c *Client) Chat(ctx context.Context, model, prompt string) (string, error) {
	answer, err := c.Router.CreateChatCompletion(ctx, chat(model, prompt))
	if err != nil {
		return "", err
	}
	if len(answer.GetChoices()) == 0 {
		return "", errors.New("the answer has no choices")
	}
	return answer.GetChoices()[0].GetMessage().GetContent(), nil
}

// StreamChat gives the same answer while it is written, piece by piece. An error is the
// last that comes. Leaving the loop cancels what is left, so that no model goes on writing
// for nobody.
func (c *Client) StreamChat(ctx context.Context, model, prompt string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stream, err := c.Router.StreamChatCompletion(ctx, chat(model, prompt))
		if err != nil {
			yield("", err)
			return
		}
		for {
			chunk, err := stream.Recv()
			if err == io.EOF {
				return
			}
			if err != nil {
				yield("", err)
				return
			}
			for _, choice := range chunk.GetChoices() {
				text := choice.GetDelta().GetContent()
				if text != "" && !yield(text, nil) {
					return
				}
			}
		}
	}
}

func chat(model, prompt string) *routerv1.CreateChatCompletionRequest {
	return &routerv1.CreateChatCompletionRequest{
		Model:    model,
		Messages: []*routerv1.ChatMessage{{Role: "user", Content: prompt}},
	}
}
