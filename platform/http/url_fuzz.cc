// URLs of any bytes: what is taken has a host and a target that cannot leave their place in a
// request's head, and means the same when it is written again.
#include <cstdint>
#include <cstdlib>

#include "platform/http/url.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace starling::http;
  const auto demand = [](bool condition) {
    if (!condition) std::abort();
  };
  const auto url = ParseHttpUrl({reinterpret_cast<const char*>(data), size});
  if (!url.ok()) return 0;
  demand(!url->host.empty() && url->port != 0 && url->target.starts_with('/'));
  for (const std::string* part : {&url->host, &url->authority, &url->target}) {
    for (const char c : *part) demand(c > 0x20 && c < 0x7f);
  }
  demand(url->authority.find_first_of("/?#@") == std::string::npos);
  demand(url->target.find('#') == std::string::npos);
  const auto again =
      ParseHttpUrl((url->tls ? "https://" : "http://") + url->authority + url->target);
  demand(again.ok() && again->host == url->host && again->port == url->port &&
         again->target == url->target && again->tls == url->tls);
  return 0;
}
