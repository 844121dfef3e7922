#include "platform/gateway/answers/answer_fields.h"

#include "platform/http/syntax.h"

namespace starling::gateway {
namespace {

using http::EqualsIgnoreCase;

Status CheckField(std::string_view name, std::string_view value) {
  if (name.empty() || !http::All(name, http::kToken) || !http::All(value, http::kValue))
    return InvalidArgument("answer_headers: '{}: {}' is no header field", name, value);
  for (const std::string_view own :
       {"content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "trailer",
        "content-encoding", "content-type", "date", "vary"}) {
    if (EqualsIgnoreCase(name, own))
      return InvalidArgument("answer_headers: {} is the gateway's to write; take it out", name);
  }
  return OkStatus();
}

}  // namespace

StatusOr<AnswerFields> AnswerFields::Make(const std::map<std::string, std::string>& usual,
                                          const std::map<std::string, std::string>& forced) {
  AnswerFields fields;
  fields.usual_ = {{"X-Content-Type-Options", "nosniff", kAll},
                   {"Strict-Transport-Security", "max-age=31536000", kTls},
                   {"Referrer-Policy", "strict-origin-when-cross-origin", kPages},
                   {"X-Frame-Options", "SAMEORIGIN", kPages},
                   {"Cross-Origin-Opener-Policy", "same-origin-allow-popups", kPages},
                   {"Cross-Origin-Resource-Policy", "same-origin", kPages}};
  for (const auto& [name, value] : usual) {
    STARLING_RETURN_IF_ERROR(CheckField(name, value));
    bool known = false;
    for (One& one : fields.usual_) {
      if (!EqualsIgnoreCase(one.name, name)) continue;
      one.value = value;
      known = true;
    }
    if (!known) fields.usual_.push_back({name, value, kAll});
  }
  std::erase_if(fields.usual_, [](const One& one) { return one.value.empty(); });
  for (const auto& [name, value] : forced) STARLING_RETURN_IF_ERROR(CheckField(name, value));
  fields.forced_ = forced;
  return fields;
}

void AnswerFields::AddTo(bool is_page, bool tls, http::Headers& headers) const {
  for (const One& one : usual_) {
    if ((one.where == kPages && !is_page) || (one.where == kTls && !tls)) continue;
    if (!headers.Has(one.name)) headers.Add(one.name, one.value);
  }
  for (const auto& [name, value] : forced_) {
    headers.Remove(name);
    if (!value.empty()) headers.Add(name, value);
  }
  if (const auto server = headers.Find("server")) {
    const std::string_view product = server->substr(0, server->find_first_of("/ ("));
    if (product.size() != server->size()) headers.Set("Server", std::string(product));
  }
}

}  // namespace starling::gateway
