import fastify from "fastify";

/** A bare Fastify route that returns given bytes: what an answer costs when nothing has to be decided. */
const [port = "8098", body = "{}"] = process.argv.slice(2);
const app = fastify();
app.get("/metadata/identity/oauth2/token", (_request, reply) =>
  reply.header("content-type", "application/json; charset=utf-8").send(body),
);
app.get("/pid", () => String(process.pid));
app.get("/end", () => process.exit(0));
await app.listen({ host: "127.0.0.1", port: Number(port) });
