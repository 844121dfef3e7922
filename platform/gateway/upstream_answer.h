// An answer on its way from an upstream, whatever protocol it speaks. Internal to the gateway.
#pragma once

#include <optional>
#include <string_view>

#include "platform/async/task.h"
#include "platform/http/response_parser.h"

namespace starling::gateway {

class UpstreamAnswer {
 public:
  using Step = http::ResponseParser::Step;
  virtual ~UpstreamAnswer() = default;

  // kInterim (Clear the response before the next), kHead, kBody, kComplete or kError; never
  // kNeedMore. Trailers are there at kComplete.
  virtual Task<Step> Next(http::Response& response) = 0;
  // The same of what was read already, kNeedMore when there is no more of it.
  virtual Step NextRead(http::Response& response) = 0;
  // The piece of the last kBody; good until the next Next.
  virtual std::string_view piece() const = 0;
  // As ResponseParser has them.
  virtual std::optional<uint64_t> content_length() const = 0;
  virtual bool complete() const = 0;
  // Every wait ends then, with DEADLINE_EXCEEDED.
  virtual void SetDeadline(Instant deadline) = 0;
  // Next past what comes before the answer.
  Task<Step> NextFinal(http::Response& response) {
    for (;;) {
      const Step step = co_await Next(response);
      if (step != Step::kInterim) co_return step;
      response.Clear();
    }
  }
  // Why the last step was kError.
  virtual Status error() const = 0;
};

}  // namespace starling::gateway
