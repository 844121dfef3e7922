#include "platform/identity/pages.h"

#include "platform/base/html.h"

namespace starling::identity {
namespace {

void FillPage(http::Response& response, int http_status, std::string_view title,
              std::string_view body) {
  response.Clear();
  response.status = http_status;
  response.headers.Set("Cache-Control", "no-store");
  response.headers.Set("Content-Security-Policy",
                       "default-src 'none'; form-action 'self'; frame-ancestors 'none'; "
                       "base-uri 'none'");
  response.headers.Set("Referrer-Policy", "no-referrer");
  response.headers.Set("X-Content-Type-Options", "nosniff");
  response.SetBody("text/html; charset=utf-8",
                   fmt::format("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{0}"
                               "</title><h1>{0}</h1>{1}</html>\n",
                               title, body));
}

}  // namespace

void FillFailurePage(http::Response& response, int http_status, const Status& why) {
  FillPage(response, http_status, "You are not signed in",
           fmt::format("<p>{}.</p><p><a href=\"/auth/login\">Sign in again</a></p>",
                       EscapeHtml(std::string(why.message()))));
}

void FillLogoutPage(http::Response& response) {
  FillPage(response, 200, "Sign out",
           "<form method=\"post\" action=\"/auth/logout\"><button>Sign out</button></form>");
}

}  // namespace starling::identity
