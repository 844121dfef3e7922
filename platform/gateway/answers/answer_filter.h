// What the gateway does to every answer (README.md), as one filter of a router, or of a route that
// has rules of its own.
//
//   STARLING_ASSIGN_OR_RETURN(auto filter, AnswerFilter::Make(rules, metrics));
//   router.SetFilter(filter);
//   STARLING_ASSIGN_OR_RETURN(auto own, filter->ForRoute(route));      // nullptr: the same
//
// In this order: a preflight is answered here, before anybody asks who calls; then the handler;
// then a problem becomes a page for who reads pages, the usual fields, CORS, compression. A whole
// body is compressed on its io thread, 32 KiB at a time, with others served between, and a stream
// as its pieces come, so that the client can read each at once. Forms that response.forms keeps are
// not made again.
//
// Thread-safe as a constant.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "platform/gateway/answers/answer_fields.h"
#include "platform/gateway/answers/compression.h"
#include "platform/gateway/answers/cors.h"
#include "platform/http/answer_filter.h"
#include "platform/telemetry/metrics.h"

namespace starling::gateway {

struct RouteConfig;

struct AnswerRules {
  CompressionConfig compression;
  CorsConfig cors;
  std::map<std::string, std::string> answer_headers;
};

class AnswerFilter final : public http::AnswerFilter {
 public:
  // INVALID_ARGUMENT names the rule that cannot be, from "compression" or "cors" on.
  static StatusOr<std::shared_ptr<const AnswerFilter>> Make(const AnswerRules& rules,
                                                            telemetry::Metrics& metrics);
  // With what the route says instead; nullptr when it says nothing.
  StatusOr<std::shared_ptr<const AnswerFilter>> ForRoute(const RouteConfig& route) const;

  Task<void> Answer(const http::Router& router, const http::Router::Match& match,
                    http::Exchange& exchange) const override;

  bool compresses() const { return compression_.enabled(); }

 private:
  class Outgoing;
  struct Counters {
    telemetry::Counter* answers[http::kCodings]{};
    telemetry::Counter* plain_bytes = nullptr;
    telemetry::Counter* sent_bytes = nullptr;
  };
  AnswerFilter(AnswerRules rules, Counters counters)
      : rules_(std::move(rules)), counters_(counters) {}

  const AnswerRules rules_;
  const Counters counters_;
  Compression compression_;
  Cors cors_;
  AnswerFields fields_;
};

// What can be said before anything is made of them: INVALID_ARGUMENT names what is wrong, from
// "cors", "compression" or "routes[3]" on. Also of routes that only header fields tell apart and
// that say different things of answers: a preflight does not have these fields.
Status CheckAnswerRules(const AnswerRules& rules, const std::vector<RouteConfig>& routes);

}  // namespace starling::gateway
