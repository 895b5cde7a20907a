import { RouterService } from "#generated/signalbox/router/v1/router_pb.js";
import { connect, createClient } from "./client.js";
import { RpcError } from "./errors.js";

const channel = connect(process.argv[2] ?? "127.0.0.1:7000", { plaintext: true });
const router = createClient(RouterService, channel);
const request = { model: "auto", messages: [{ role: "user", content: "Say hello" }] };
try {
  for await (const chunk of router.streamChatCompletion(request, { timeoutMs: 10_000 })) {
    process.stdout.write(chunk.choices[0]?.delta?.content ?? "");
  }
} catch (error) {
  if (!(error instanceof RpcError)) throw error;
  console.error(error.message, error.errorInfo?.reason, error.retryAfterMs);
  process.exitCode = 1;
}
channel.close();
