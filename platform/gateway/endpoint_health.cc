#include "platform/gateway/endpoint_health.h"

namespace starling::gateway {
namespace {

constexpr std::string_view kGrpcHealth = "/grpc.health.v1.Health/Check";
constexpr size_t kLongest = 4096;  // of an answer that is read

bool IsWellStatus(int status) { return status >= 200 && status < 400; }

Task<bool> IsWellByHttp1(EndpointCheck check) {
  const auto [host, port] = HostAndPort(check.address);
  UpstreamConnection connection(*check.thread, check.options.max_header_bytes);
  connection.Use(std::chrono::steady_clock::now() + check.timeout);
  const Status connected = co_await connection.Connect(host, port, check.options.tls.get());
  if (!connected.ok()) co_return false;
  const std::string head = fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
                                       check.path, check.address);
  const Status sent = co_await connection.Send(head, "", /*to_head=*/false);
  if (!sent.ok()) co_return false;
  http::Response response;
  const UpstreamAnswer::Step step = co_await connection.NextFinal(response);
  co_return step == UpstreamAnswer::Step::kHead&& IsWellStatus(response.status);
}

Task<bool> IsWellByH2(EndpointCheck check) {
  using Step = UpstreamAnswer::Step;
  const auto [host, port] = HostAndPort(check.address);
  H2Upstream upstream(check.thread, check.options, host, port);
  const Instant now = std::chrono::steady_clock::now();
  H2Request request(upstream.Take(), nullptr, now, now + check.timeout);
  const Status ready = co_await request.Ready();
  if (!ready.ok()) co_return false;
  const bool grpc = check.path == kGrpcHealth;
  const std::string head =
      fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\n{}\r\n", grpc ? "POST" : "GET", check.path,
                  check.address, grpc ? "Content-Type: application/grpc\r\n" : "");
  if (!request.Send(head, {.has_body = grpc, .takes_trailers = grpc})) co_return false;
  if (grpc) {
    request.Append(std::string_view("\0\0\0\0\0", 5));  // HealthCheckRequest{}
    request.EndBody();
  }
  http::Response response;
  for (;;) {
    const Step step = co_await request.NextFinal(response);
    if (step == Step::kBody) response.body.append(request.piece());
    if (step == Step::kError || response.body.size() > kLongest) co_return false;
    if (step == Step::kComplete || (step == Step::kHead && !grpc)) break;
  }
  if (!grpc) co_return IsWellStatus(response.status);
  // HealthCheckResponse{status: SERVING}
  co_return response.trailers.Find("grpc-status") == "0" &&
      response.body == std::string_view("\0\0\0\0\2\x08\x01", 7);
}
}  // namespace

std::pair<std::string, uint16_t> HostAndPort(std::string_view address) {
  const size_t colon = address.rfind(':');
  std::string_view host = address.substr(0, colon);
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  return {std::string(host),
          static_cast<uint16_t>(std::stoi(std::string(address.substr(colon + 1))))};
}

Task<bool> IsWell(EndpointCheck check) {
  return check.h2 ? IsWellByH2(std::move(check)) : IsWellByHttp1(std::move(check));
}

}  // namespace starling::gateway
