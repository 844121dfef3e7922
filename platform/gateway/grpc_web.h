// A call of gRPC-Web (github.com/grpc/grpc/doc/PROTOCOL-WEB.md) as an upstream of gRPC sees it:
// unary calls and streams of the server, over HTTP/1.1 or HTTP/2.
//
//   GrpcWebExchange call(exchange, kind);
//   status = co_await upstream.Forward(call.request, call, how);
//   co_await call.Finish();
//
// Messages go through as they are, or in base64 (-text), each piece padded on its own. The trailers
// come as a last frame, whose first byte is 0x80: a length of 4 bytes, then "name: value\r\n"
// lines. Those of an answer that is nothing but trailers stay fields. Internal to the gateway.
#pragma once

#include <optional>
#include <string>

#include "platform/gateway/grpc.h"
#include "platform/http/exchange.h"

namespace starling::gateway {

// Base64 in pieces that need not end where its groups of four do.
class Base64Reader {
 public:
  // False: it is none.
  bool Read(std::string_view text, std::string& out);
  bool ends_well() const { return held_ == 0; }

 private:
  char group_[4] = {};
  size_t held_ = 0;
};

class GrpcWebExchange final : public http::Exchange, private http::ResponseStream {
 public:
  // `client` must outlive it.
  GrpcWebExchange(http::Exchange& client, GrpcKind kind);

  // INVALID_ARGUMENT: its body is not base64.
  Status TakeRequest();
  // Ends the answer.
  Task<void> Finish();

  bool body_streams() const override { return client_.body_streams(); }
  Task<http::BodyPiece> ReadBody() override;
  void StopReadingBody() override { client_.StopReadingBody(); }
  http::ResponseStream& OpenStream() override;
  bool streaming() const override { return client_.streaming(); }
  CancellationToken cancellation() override { return client_.cancellation(); }

 private:
  Task<Status> Write(std::string_view chunk) override;
  void Abort() override { stream_->Abort(); }
  void GiveHead();
  std::string Encoded(std::string_view bytes) const;

  http::Exchange& client_;
  const GrpcKind kind_;
  Base64Reader reader_;
  std::string decoded_;
  http::ResponseStream* stream_ = nullptr;
  bool is_grpc_ = false;  // the answer; another goes through as it is
};

}  // namespace starling::gateway
