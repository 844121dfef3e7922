// Which handler answers a request: path templates as google.api.http writes them, in a trie.
//
//   Router router;
//   router.Add(Verb::kGet, "/v1/products/{id}", handler);
//   router.Add(Verb::kPost, "/v1/models/{model}:train", handler);
//   router.Add(Verb::kGet, "/v1/{name=shelves/*/books/*}", handler);
//   router.Add(Verb::kGet, "/{file=**}", ServeFiles(...));
//   server.SetRouter(std::make_shared<const Router>(std::move(router)));
//
//   Template = "/" Segments [":" verb]      Segment = literal | "*" | "**" (last only) | "{" name
//   ["=" Segments] "}"
//
// `*` and `{name}` match one segment that is not empty; `**` matches the rest, also when there is
// none. At each segment a literal beats a variable and a variable beats `**`; a custom verb
// (":train") beats taking the colon as part of the segment. A variable of one segment is given
// decoded ("a%2Fb" -> "a/b"); in one that may span several, an encoded slash stays "%2F"
// (google/api/http.proto). HEAD is answered by GET's handler, OPTIONS with Allow unless routed.
//
// Build it, then share it as const: lookups are thread-safe, take O(nodes) at worst (about 200 ns
// for a usual path) and allocate only for escaped variables. Where few of many routes change, those
// that stay are made once, and each new router is made over them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "platform/http/exchange.h"

namespace starling::http {

class AnswerFilter;

struct RouteOptions {
  // Instead of the server's max_body_bytes, up or down.
  std::optional<uint64_t> max_body_bytes;
  // The handler is called before a body that is longer, or of unknown length, is read, and reads it
  // by Exchange::ReadBody. nullopt: each body is in request.body.
  std::optional<uint64_t> streams_bodies_above;
  // Of such a body, instead of the server's body_timeout; Duration::max(): as long as it takes.
  // Counts only while the handler waits for the client.
  std::optional<Duration> body_timeout;
  // Calls of gRPC over HTTP/2 (application/grpc) are streams of messages for as long as they last:
  // the handler reads their bodies, whatever their length, and nothing bounds size and time.
  bool streams_grpc = false;
  // Instead of the router's; nullptr: that one.
  std::shared_ptr<const AnswerFilter> filter = nullptr;
};

class Router {
 public:
  Router();
  // With all routes of `base`, which it shares: it costs as much as what is added then. Has no
  // filter yet.
  explicit Router(std::shared_ptr<const Router> base);
  ~Router();
  Router(Router&&) noexcept;
  Router& operator=(Router&&) noexcept;

  // INVALID_ARGUMENT for a template that is none, ALREADY_EXISTS (naming both) when another of the
  // same verb has the same shape: no path could tell them apart.
  Status Add(Verb verb, std::string_view path_template, Handler handler, RouteOptions options = {});

  // Requests for this host are looked up in that router first, and here when it has nothing for
  // their path. "shop.example" is that host alone, without regard to case and port;
  // "*.shop.example" is all below it, and yields to a longer name. INVALID_ARGUMENT for what is no
  // host's name, ALREADY_EXISTS.
  Status AddHost(std::string_view host, Router router);

  // What is done to each answer, the router's own included (answer_filter.h). Of routers of hosts,
  // that of the one they were added to.
  void SetFilter(std::shared_ptr<const AnswerFilter> filter) { filter_ = std::move(filter); }

  struct Route;  // opaque
  // How a request is to be answered; good as long as the router is.
  struct Match {
    const Route* route =
        nullptr;           // null: answered by the router itself: 404, 405 with Allow, or OPTIONS
    uint32_t allowed = 0;  // bit 1 << Verb: the verbs the path has; 0: the path is unknown
  };
  // Fills exchange.parameters and exchange.route.
  Match Find(Exchange& exchange) const;
  // What its route was added with; of no route, the defaults.
  static const RouteOptions& OptionsOf(const Match& match);
  // Runs the handler, or fills exchange.response with the router's own answer, by way of the
  // filter.
  Task<void> Answer(const Match& match, Exchange& exchange) const;
  // The same without the filter, for the filter.
  Task<void> Run(const Match& match, Exchange& exchange) const;

  // Find and Answer.
  Task<void> Handle(Exchange& exchange) const;

  // "GET /v1/products/{id}", in the order they were added; those of hosts follow, as "GET
  // shop.example/cart".
  std::vector<std::string> Describe() const;

 private:
  struct Node;
  struct Made;
  struct Search;
  const Router* ForHost(const Request& request) const;
  const AnswerFilter* FilterOf(const Match& match, Exchange& exchange) const;
  Match FindHere(Exchange& exchange) const;
  Node& Own(Node*& place);
  void DescribeOwn(std::string_view host, std::vector<std::string>& routes) const;

  std::shared_ptr<const Router> base_;
  std::unique_ptr<Made> made_;
  Node* root_ = nullptr;  // the base's, until something is added
  std::unordered_map<std::string, std::shared_ptr<const Router>>
      hosts_;  // "shop.example", ".below.it"
  std::shared_ptr<const AnswerFilter> filter_;
};

}  // namespace starling::http
