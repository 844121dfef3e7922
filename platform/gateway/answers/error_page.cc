#include "platform/gateway/answers/error_page.h"

#include <fmt/core.h>

#include "platform/http/syntax.h"

namespace starling::gateway {

bool WantsPage(const http::Request& request, const http::Response& response) {
  if (!response.problem) return false;
  const auto accept = request.headers.Find("accept");
  if (!accept) return false;
  bool html = false, json = false;
  http::ForEachInList(*accept, [&](std::string_view member) {
    const std::string_view type = http::TrimSpace(member.substr(0, member.find(';')));
    html |= http::EqualsIgnoreCase(type, "text/html");
    json |= http::EqualsIgnoreCase(type, "application/json") ||
            http::EqualsIgnoreCase(type, "application/problem+json");
  });
  return html && !json;
}

void MakePage(http::Response& response) {
  const std::string_view reason = http::ReasonPhrase(response.status);
  // "00-<trace>-<span>-01", which we wrote.
  std::string trace;
  if (const auto parent = response.headers.Find("traceparent"); parent && parent->size() == 55)
    trace = fmt::format("<p>Trace {}</p>\n", parent->substr(3, 32));
  response.SetBody("text/html; charset=utf-8",
                   fmt::format("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                               "<title>{0} {1}</title></head>\n<body><h1>{0} {1}</h1>\n{2}</body>"
                               "</html>\n",
                               response.status, reason, trace));
  response.headers.Set("Content-Security-Policy", "default-src 'none'");
}

}  // namespace starling::gateway
