package signalbox

import (
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Details is what an error of Signalbox says. Every error carries google.rpc details, as
// bytes in the trailer grpc-status-details-bin. A program decides by Code and Reason;
// Message is for people. What the server did not send is empty.
type Details struct {
	Code    codes.Code
	Message string
	// Reason is stable and in capitals, such as INVALID_FIELD.
	Reason string
	// Domain is "signalbox"; empty where the error was made on the way, or by gRPC here.
	Domain string
	// Metadata are facts that belong to Reason.
	Metadata map[string]string
	// Violations name the fields of the request that are wrong.
	Violations []FieldViolation
	// RetryAfter says how long to wait before another try; no other try helps when it is 0.
	RetryAfter time.Duration
}

// FieldViolation is a field of the request that is wrong.
type FieldViolation struct {
	// Field is its path, such as messages[2].role.
	Field string
	// Description says what is accepted.
	Description string
}

// DetailsOf decodes the error of a call; OK when there is none.
func DetailsOf(err error) Details {
	said := status.Convert(err)
	details := Details{Code: said.Code(), Message: said.Message()}
	for _, detail := range said.Details() {
		// One of these three, or a kind that this client does not know yet.
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			details.Reason = detail.GetReason()
			details.Domain = detail.GetDomain()
			details.Metadata = detail.GetMetadata()
		case *errdetails.BadRequest:
			for _, each := range detail.GetFieldViolations() {
				details.Violations = append(details.Violations,
					FieldViolation{each.GetField(), each.GetDescription()})
			}
		case *errdetails.RetryInfo:
			details.RetryAfter = detail.GetRetryDelay().AsDuration()
		}
	}
	return details
}
