#include "platform/gateway/cache/rules/target.h"

#include "platform/gateway/cache/rules/list.h"
#include "platform/http/message.h"

namespace starling::gateway {
namespace {

// "/a?b" of "http://host/a?b", and itself of what is in origin form already.
std::string_view OriginForm(std::string_view target) {
  if (target.starts_with('/')) return target;
  const size_t scheme = target.find("://");
  if (scheme == std::string_view::npos) return target;
  const size_t path = target.find_first_of("/?", scheme + 3);
  return path == std::string_view::npos ? "/" : target.substr(path);
}

// Without "." and ".." (RFC 3986, 5.2.4). `path` begins with '/'.
std::string WithoutDots(std::string_view path) {
  std::string out;
  while (!path.empty()) {
    const size_t end = path.find('/', 1);
    const std::string_view segment = path.substr(0, end);
    const bool last = end == std::string_view::npos;
    path.remove_prefix(last ? path.size() : end);
    if (segment == "/..") {
      out.resize(out.empty() ? 0 : out.rfind('/'));
    } else if (segment != "/.") {
      out.append(segment);
      continue;
    }
    if (last) out += '/';
  }
  return out;
}

}  // namespace

void WriteCacheKey(std::string_view prefix, std::string_view host, std::string_view target,
                   std::string& key) {
  key.assign(prefix).append(" ");
  const size_t at = key.size();
  key.append(host);
  for (size_t i = at; i < key.size(); ++i) {
    if (key[i] >= 'A' && key[i] <= 'Z') key[i] = static_cast<char>(key[i] | 0x20);
  }
  const std::string_view form = OriginForm(target);
  if (!form.starts_with('/')) key += '/';
  key.append(form);
}

std::string CacheKey(std::string_view prefix, std::string_view host, std::string_view target) {
  std::string key;
  WriteCacheKey(prefix, host, target, key);
  return key;
}

std::optional<std::string> TargetOnSameHost(std::string_view reference, std::string_view host,
                                            std::string_view target) {
  reference = Trim(reference);
  reference = reference.substr(0, reference.find('#'));
  const size_t before_path = reference.find_first_of("/?");
  const size_t colon = reference.find(':');
  const bool has_scheme = colon != std::string_view::npos && colon < before_path;
  if (has_scheme) {
    const std::string_view scheme = reference.substr(0, colon);
    if (!http::EqualsIgnoreCase(scheme, "http") && !http::EqualsIgnoreCase(scheme, "https"))
      return std::nullopt;
    reference.remove_prefix(colon + 1);
    if (!reference.starts_with("//")) return std::nullopt;
  }
  if (reference.starts_with("//")) {
    reference.remove_prefix(2);
    const size_t end = std::min(reference.find_first_of("/?"), reference.size());
    if (!http::EqualsIgnoreCase(reference.substr(0, end), host)) return std::nullopt;
    reference.remove_prefix(end);
    if (!reference.starts_with('/')) return "/" + std::string(reference);
  }
  const std::string_view base = OriginForm(target);
  if (reference.empty()) return std::string(base);
  const std::string_view base_path = base.substr(0, base.find('?'));
  if (reference.starts_with('?')) return std::string(base_path).append(reference);
  const size_t query = std::min(reference.find('?'), reference.size());
  std::string path;
  if (!reference.starts_with('/')) path = base_path.substr(0, base_path.rfind('/') + 1);
  path.append(reference.substr(0, query));
  return WithoutDots(path).append(reference.substr(query));
}

}  // namespace starling::gateway
