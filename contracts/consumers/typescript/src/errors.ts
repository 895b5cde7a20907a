/**
 * A failed call as a value: the code to decide by, and the typed details that Signalbox
 * sends in the trailer `grpc-status-details-bin`.
 */
import { fromBinary, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { anyUnpack, type Any } from "@bufbuild/protobuf/wkt";
import { Metadata, status, type ServiceError } from "@grpc/grpc-js";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
  type BadRequest,
  type ErrorInfo,
} from "#generated/google/rpc/error_details_pb.js";
import { StatusSchema } from "#generated/google/rpc/status_pb.js";

/** The trailer that holds a `google.rpc.Status`. */
const DETAILS = "grpc-status-details-bin";

export class RpcError extends Error {
  override readonly name = "RpcError";

  private constructor(
    readonly code: status,
    text: string,
    /** The trailers; where the server said nothing else, the headers too. */
    readonly metadata: Metadata,
    /** All details; `detail(schema)` finds one. */
    readonly details: readonly Any[],
  ) {
    super(`${status[code]}: ${text}`);
  }

  /** The error that a call ended with. What is not gRPC's own stays what it is. */
  static from(error: unknown): unknown {
    if (!isServiceError(error)) return error;
    const [packed] = error.metadata.get(DETAILS);
    const details = Buffer.isBuffer(packed) ? fromBinary(StatusSchema, packed).details : [];
    return new RpcError(error.code, error.details, error.metadata, details);
  }

  /** The first detail of this type. */
  detail<D extends DescMessage>(schema: D): MessageShape<D> | undefined {
    for (const any of this.details) {
      const message = anyUnpack(any, schema);
      if (message) return message;
    }
    return undefined;
  }

  /** Why, for programs: a stable `reason` within the `domain` "signalbox". */
  get errorInfo(): ErrorInfo | undefined {
    return this.detail(ErrorInfoSchema);
  }

  /** Which fields of the request are wrong. */
  get badRequest(): BadRequest | undefined {
    return this.detail(BadRequestSchema);
  }

  /** How long to wait before a new try, where one can help. */
  get retryAfterMs(): number | undefined {
    const delay = this.detail(RetryInfoSchema)?.retryDelay;
    return delay && Number(delay.seconds) * 1_000 + delay.nanos / 1_000_000;
  }
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && "metadata" in error && error.metadata instanceof Metadata;
}
