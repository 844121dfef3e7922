// What is done to every answer of a router, whichever handler made it: fields, compression.
//
//   class Stamp final : public AnswerFilter {
//     Task<void> Answer(const Router& router, const Router::Match& match,
//                       Exchange& exchange) const override {
//       co_await router.Run(match, exchange);
//       if (!exchange.streaming()) exchange.response.headers.Add("X-Stamp", "1");
//     }
//   };
//   router.SetFilter(std::make_shared<const Stamp>());
//
// It runs the handler or answers in its place. An answer that is streamed goes out while the
// handler runs: who has something to say of it sets exchange.outlet. Called by many threads at
// once; must not throw. `match` and the exchange live until its task has ended, the filter as long
// as its router.
#pragma once

#include "platform/http/router.h"

namespace starling::http {

class AnswerFilter {
 public:
  virtual ~AnswerFilter() = default;
  virtual Task<void> Answer(const Router& router, const Router::Match& match,
                            Exchange& exchange) const = 0;
};

}  // namespace starling::http
