/**
 * How to call Signalbox well from Node: one channel for all services, a deadline on
 * every call, retries of what the server says may be tried again, calls that end when
 * nobody reads them any more, and errors with their details.
 */
import { once } from "node:events";
import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type DescMethod,
  type DescMethodBiDiStreaming,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type DescService,
  type Message,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { RpcError } from "./errors.js";

/** How the server is reached. TLS with the authorities that Node trusts, unless said otherwise. */
export interface ConnectOptions {
  /** No TLS: for a loopback address or inside a service mesh. */
  plaintext?: boolean;
  /** The authority that signed the server's certificate, PEM. */
  authority?: Buffer;
  /** Tries of a call that ends with UNAVAILABLE, 1 to 5; the default is 4. */
  maxAttempts?: number;
}

/** What one call may be given. */
export interface CallOptions {
  /** The time for the whole call, its retries and its stream included; the default is 30,000 ms. */
  timeoutMs?: number;
  /** Cancels the call, which then ends with CANCELLED. */
  signal?: AbortSignal;
  /** Request metadata, such as `x-request-id` and `traceparent`. */
  headers?: Record<string, string>;
  /** Is given the response's metadata. An error carries its own in `RpcError.metadata`. */
  onHeaders?: (metadata: grpc.Metadata) => void;
}

/** A service's methods, typed: unary ones answer with a promise, streams with what `for await` reads. */
export type Client<S extends DescService> = {
  [K in keyof S["method"]]: S["method"][K] extends DescMethodUnary<infer I, infer O>
    ? (request: MessageInitShape<I>, options?: CallOptions) => Promise<MessageShape<O>>
    : S["method"][K] extends DescMethodServerStreaming<infer I, infer O>
      ? (request: MessageInitShape<I>, options?: CallOptions) => AsyncIterable<MessageShape<O>>
      : S["method"][K] extends DescMethodBiDiStreaming<infer I, infer O>
        ? (requests: AsyncIterable<MessageInitShape<I>>, options?: CallOptions) => AsyncIterable<MessageShape<O>>
        : never;
};

/** Retries are the channel's work: gRPC's service config says which, and how long to wait. */
function serviceConfig(maxAttempts: number): string {
  const retryPolicy = {
    maxAttempts,
    initialBackoff: "0.1s",
    maxBackoff: "2s",
    backoffMultiplier: 2,
    // RESOURCE_EXHAUSTED is not among them: its RetryInfo says when to come back.
    retryableStatusCodes: ["UNAVAILABLE"],
  };
  // An empty name is every method. One try is said by no policy.
  return JSON.stringify({ methodConfig: maxAttempts > 1 ? [{ name: [{}], retryPolicy }] : [] });
}

/** A channel to `host:port`, which all clients share. It connects at the first call; `close()` ends it. */
export function connect(address: string, options: ConnectOptions = {}): grpc.Client {
  const credentials = options.plaintext
    ? grpc.credentials.createInsecure()
    : grpc.credentials.createSsl(options.authority);
  return new grpc.Client(address, credentials, {
    "grpc.service_config": serviceConfig(options.maxAttempts ?? 4),
    // An answer may hold many embeddings; the default is 4 MiB.
    "grpc.max_receive_message_length": 64 << 20,
  });
}

/** The client of a generated service. */
export function createClient<S extends DescService>(service: S, channel: grpc.Client): Client<S> {
  const methods = service.methods.map((method) => [method.localName, bind(method, channel)]);
  return Object.fromEntries(methods) as Client<S>;
}

function bind(method: DescMethod, channel: grpc.Client) {
  switch (method.methodKind) {
    case "unary":
      return (request: Init, options?: CallOptions) => unary(method, channel, request, options);
    case "server_streaming":
      return (request: Init, options?: CallOptions) => serverStream(method, channel, request, options);
    case "bidi_streaming":
      return (requests: AsyncIterable<Init>, options?: CallOptions) =>
        bidirectional(method, channel, requests, options);
    case "client_streaming":
      return () => {
        throw new Error(`${method.toString()}: this client knows no client streaming`);
      };
  }
}

type Init = MessageInitShape<DescMessage>;

function unary(method: DescMethod, channel: grpc.Client, request: Init, options: CallOptions = {}) {
  return new Promise<Message>((resolve, reject) => {
    const { path, serialize, deserialize, metadata, limits } = prepare(method, options);
    const message = create(method.input, request);
    const call = channel.makeUnaryRequest(path, serialize, deserialize, message, metadata, limits, (error, answer) =>
      answer ? resolve(answer) : reject(RpcError.from(error)),
    );
    observe(call, options);
  });
}

async function* serverStream(method: DescMethod, channel: grpc.Client, request: Init, options: CallOptions = {}) {
  const { path, serialize, deserialize, metadata, limits } = prepare(method, options);
  const message = create(method.input, request);
  const call = channel.makeServerStreamRequest(path, serialize, deserialize, message, metadata, limits);
  const release = observe(call, options);
  try {
    yield* call as AsyncIterable<Message>;
  } catch (error) {
    throw RpcError.from(error);
  } finally {
    release();
    // A reader that leaves its loop early leaves no work behind.
    call.cancel();
  }
}

async function* bidirectional(
  method: DescMethod,
  channel: grpc.Client,
  requests: AsyncIterable<Init>,
  options: CallOptions = {},
) {
  const { path, serialize, deserialize, metadata, limits } = prepare(method, options);
  const call = channel.makeBidiStreamRequest(path, serialize, deserialize, metadata, limits);
  const release = observe(call, options);
  let failure: unknown;
  const send = async () => {
    for await (const request of requests) {
      // Waits where the server reads slower than we write.
      if (!call.write(create(method.input, request))) await once(call, "drain");
    }
    call.end();
  };
  send().catch((error: unknown) => {
    failure = error;
    call.cancel();
  });
  try {
    yield* call as AsyncIterable<Message>;
  } catch (error) {
    throw RpcError.from(failure ?? error);
  } finally {
    release();
    call.cancel();
  }
}

function prepare({ parent, name, input, output }: DescMethod, options: CallOptions) {
  const metadata = new grpc.Metadata();
  for (const [key, value] of Object.entries(options.headers ?? {})) metadata.set(key, value);
  return {
    path: `/${parent.typeName}/${name}`,
    serialize: (message: Message) => Buffer.from(toBinary(input, message)),
    deserialize: (bytes: Buffer): Message => fromBinary(output, bytes),
    metadata,
    limits: { deadline: Date.now() + (options.timeoutMs ?? 30_000) },
  };
}

/** Ties a call to its options; what it returns lets go of the signal, which may live longer. */
function observe(call: grpc.ClientUnaryCall, { signal, onHeaders }: CallOptions): () => void {
  if (onHeaders) call.on("metadata", onHeaders);
  if (!signal) return () => {};
  const cancel = () => call.cancel();
  if (signal.aborted) cancel();
  signal.addEventListener("abort", cancel, { once: true });
  const release = () => signal.removeEventListener("abort", cancel);
  call.on("status", release);
  return release;
}
