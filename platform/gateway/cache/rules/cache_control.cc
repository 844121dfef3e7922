#include "platform/gateway/cache/rules/cache_control.h"

#include <algorithm>

#include "platform/gateway/cache/rules/list.h"

namespace starling::gateway {
namespace {

struct Directive {
  std::string_view name;
  std::optional<std::string_view> value;  // without its quotes

  bool Is(std::string_view known) const { return http::EqualsIgnoreCase(name, known); }
};

Directive Split(std::string_view element) {
  const size_t equals = element.find('=');
  if (equals == std::string_view::npos) return {element, std::nullopt};
  std::string_view value = element.substr(equals + 1);
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
    value.remove_prefix(1);
    value.remove_suffix(1);
  }
  // "max-age =60" is no directive that the grammar knows, but it is meant as one: without a value.
  if (equals > 0 && IsBlank(element[equals - 1]))
    return {Trim(element.substr(0, equals)), std::nullopt};
  return {element.substr(0, equals), value};
}

// A number of seconds that may come more than once.
class Number {
 public:
  void Read(const Directive& directive) {
    const std::optional<seconds> read =
        directive.value ? ParseDeltaSeconds(*directive.value) : std::nullopt;
    wrong_ = wrong_ || !read || (value_ && *value_ != *read);
    value_ = read;
    there_ = true;
  }
  // What it is, or `otherwise` when it is there and wrong.
  std::optional<seconds> Or(std::optional<seconds> otherwise) const {
    if (!there_) return std::nullopt;
    return wrong_ ? otherwise : value_;
  }

 private:
  bool there_ = false;
  bool wrong_ = false;
  std::optional<seconds> value_;
};

template <typename See>
void ForEachDirective(const http::Headers& headers, See see) {
  for (const http::Headers::Field field : headers) {
    if (field.name.size() != 13 || !http::EqualsIgnoreCase(field.name, "cache-control")) continue;
    ForEachElement(field.value, [&](std::string_view element) { see(Split(element)); });
  }
}

}  // namespace

RequestDirectives ParseRequestDirectives(const http::Headers& headers) {
  RequestDirectives said;
  Number max_age;
  Number max_stale;
  Number min_fresh;
  Number stale_if_error;
  ForEachDirective(headers, [&](const Directive& directive) {
    if (directive.Is("no-cache")) {
      said.no_cache = true;
    } else if (directive.Is("max-age")) {
      max_age.Read(directive);
    } else if (directive.Is("no-store")) {
      said.no_store = true;
    } else if (directive.Is("only-if-cached")) {
      said.only_if_cached = true;
    } else if (directive.Is("max-stale")) {
      const Directive however{directive.name, "2147483648"};
      max_stale.Read(directive.value ? directive : however);
    } else if (directive.Is("min-fresh")) {
      min_fresh.Read(directive);
    } else if (directive.Is("stale-if-error")) {
      stale_if_error.Read(directive);
    }
  });
  said.max_age = max_age.Or(seconds(0));
  said.max_stale = max_stale.Or(std::nullopt);
  said.min_fresh = min_fresh.Or(kLongest);
  said.stale_if_error = stale_if_error.Or(std::nullopt);
  return said;
}

ResponseDirectives ParseResponseDirectives(const http::Headers& headers) {
  ResponseDirectives said;
  Number max_age;
  Number s_maxage;
  Number stale_while_revalidate;
  Number stale_if_error;
  ForEachDirective(headers, [&](const Directive& directive) {
    if (directive.Is("max-age")) {
      max_age.Read(directive);
    } else if (directive.Is("s-maxage")) {
      s_maxage.Read(directive);
    } else if (directive.Is("no-cache")) {
      said.no_cache = true;
    } else if (directive.Is("no-store")) {
      said.no_store = true;
    } else if (directive.Is("private")) {
      said.is_private = true;
    } else if (directive.Is("public")) {
      said.is_public = true;
    } else if (directive.Is("must-revalidate")) {
      said.must_revalidate = true;
    } else if (directive.Is("proxy-revalidate")) {
      said.proxy_revalidate = true;
    } else if (directive.Is("must-understand")) {
      said.must_understand = true;
    } else if (directive.Is("stale-while-revalidate")) {
      stale_while_revalidate.Read(directive);
    } else if (directive.Is("stale-if-error")) {
      stale_if_error.Read(directive);
    }
  });
  said.max_age = max_age.Or(seconds(0));
  said.s_maxage = s_maxage.Or(seconds(0));
  said.stale_while_revalidate = stale_while_revalidate.Or(std::nullopt);
  said.stale_if_error = stale_if_error.Or(std::nullopt);
  return said;
}

}  // namespace starling::gateway
