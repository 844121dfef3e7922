#include "platform/http/message.h"

#include <cstring>

#include "platform/base/words.h"

namespace starling::http {
namespace {

constexpr size_t kMaxQueryParameters = 1000;
// What a request's strings may keep for the next one; more is given back.
constexpr size_t kKeptBytes = size_t{64} * 1024;

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = Lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// The byte that "%41" at `at` stands for, or -1.
int DecodeEscape(std::string_view text, size_t at) {
  if (at + 2 >= text.size()) return -1;
  const int high = HexDigit(text[at + 1]);
  const int low = HexDigit(text[at + 2]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

bool IsUnreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

Status BadEscape(std::string_view text, size_t at) {
  return InvalidArgument(
      "'{}' is not a percent escape: write '%' as %25, or two hex digits after it",
      text.substr(at, 3));
}

}  // namespace

Verb ParseVerb(std::string_view text) {
  switch (text.size()) {
    case 3:
      if (text == "GET") return Verb::kGet;
      if (text == "PUT") return Verb::kPut;
      break;
    case 4:
      if (text == "POST") return Verb::kPost;
      if (text == "HEAD") return Verb::kHead;
      break;
    case 5:
      if (text == "PATCH") return Verb::kPatch;
      break;
    case 6:
      if (text == "DELETE") return Verb::kDelete;
      break;
    case 7:
      if (text == "OPTIONS") return Verb::kOptions;
      break;
    default:
      break;
  }
  return Verb::kOther;
}

std::string_view VerbText(Verb verb) {
  switch (verb) {
    case Verb::kGet:
      return "GET";
    case Verb::kHead:
      return "HEAD";
    case Verb::kPost:
      return "POST";
    case Verb::kPut:
      return "PUT";
    case Verb::kPatch:
      return "PATCH";
    case Verb::kDelete:
      return "DELETE";
    case Verb::kOptions:
      return "OPTIONS";
    case Verb::kOther:
      break;
  }
  return "OTHER";
}

bool EqualsIgnoreCase(std::string_view a, std::string_view b) {
  const size_t size = a.size();
  if (size != b.size()) return false;
  const auto same = [](uint64_t one, uint64_t other) {
    return one == other || LowerWord(one) == LowerWord(other);
  };
  if (size < 8) return size == 0 || same(ShortWord(a.data(), size), ShortWord(b.data(), size));
  for (size_t at = 0; at + 8 < size; at += 8) {
    if (!same(WordAt(a.data() + at), WordAt(b.data() + at))) return false;
  }
  return same(WordAt(a.data() + size - 8), WordAt(b.data() + size - 8));
}

void Headers::Add(std::string_view name, std::string_view value) {
  const auto at = static_cast<uint32_t>(text_.size());
  // The views may point into text_, which grows.
  if (text_.capacity() - text_.size() < name.size() + value.size()) {
    std::string grown;
    grown.reserve(2 * (text_.size() + name.size() + value.size()) + 128);
    grown.append(text_).append(name).append(value);
    text_ = std::move(grown);
  } else {
    text_.append(name).append(value);
  }
  entries_.push_back({at, static_cast<uint32_t>(name.size()), static_cast<uint32_t>(value.size())});
}

void Headers::Set(std::string_view name, std::string_view value) {
  Remove(name);
  Add(name, value);
}

void Headers::Remove(std::string_view name) {
  // The bytes in text_ stay until Clear: headers are short-lived.
  std::erase_if(entries_, [&](const Entry& entry) {
    return EqualsIgnoreCase({text_.data() + entry.at, entry.name_size}, name);
  });
}

void Headers::Clear() {
  text_.clear();
  entries_.clear();
}

std::optional<std::string_view> Headers::Find(std::string_view name) const {
  for (const Entry& entry : entries_) {
    if (entry.name_size == name.size() &&
        EqualsIgnoreCase({text_.data() + entry.at, entry.name_size}, name)) {
      return std::string_view(text_.data() + entry.at + entry.name_size, entry.value_size);
    }
  }
  return std::nullopt;
}

std::string Headers::Joined(std::string_view name) const {
  std::string joined;
  bool first = true;
  for (const Field field : *this) {
    if (!EqualsIgnoreCase(field.name, name)) continue;
    if (!first) joined += ", ";
    joined += field.value;
    first = false;
  }
  return joined;
}

Headers::Field Headers::operator[](size_t index) const {
  const Entry& entry = entries_[index];
  const char* name = text_.data() + entry.at;
  return {{name, entry.name_size}, {name + entry.name_size, entry.value_size}};
}

void Request::Clear() {
  verb = Verb::kGet;
  verb_text.clear();
  target.clear();
  path.clear();
  query.clear();
  minor_version = 1;
  headers.Clear();
  body.clear();
  if (body.capacity() > kKeptBytes) body.shrink_to_fit();
}

void Response::Clear() {
  forms.reset();
  problem = false;
  status = 200;
  headers.Clear();
  body.clear();
  length.reset();
  trailers.Clear();
  if (body.capacity() > kKeptBytes) body.shrink_to_fit();
}

void Response::SetBody(std::string_view content_type, std::string content) {
  headers.Set("content-type", content_type);
  body = std::move(content);
}

std::string_view ReasonPhrase(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 101:
      return "Switching Protocols";
    case 102:
      return "Processing";
    case 103:
      return "Early Hints";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Content";
    case 428:
      return "Precondition Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 499:
      return "Client Closed Request";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Status";
  }
}

StatusOr<QueryParameters> ParseQuery(std::string_view query) {
  QueryParameters parameters;
  const auto decode = [](std::string_view text, std::string& out) -> Status {
    out.reserve(text.size());
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '+') {
        out += ' ';
      } else if (text[i] != '%') {
        out += text[i];
      } else if (const int byte = DecodeEscape(text, i); byte >= 0) {
        out += static_cast<char>(byte);
        i += 2;
      } else {
        return Annotate(BadEscape(text, i), "query");
      }
    }
    return OkStatus();
  };
  while (!query.empty()) {
    const size_t end = query.find('&');
    const std::string_view piece = query.substr(0, end);
    query.remove_prefix(end == std::string_view::npos ? query.size() : end + 1);
    if (piece.empty()) continue;
    if (parameters.size() == kMaxQueryParameters) {
      return InvalidArgument("the query has more than {} parameters; send them in a body",
                             kMaxQueryParameters);
    }
    const size_t equals = piece.find('=');
    auto& [name, value] = parameters.emplace_back();
    STARLING_RETURN_IF_ERROR(decode(piece.substr(0, equals), name));
    if (equals != std::string_view::npos)
      STARLING_RETURN_IF_ERROR(decode(piece.substr(equals + 1), value));
  }
  return parameters;
}

std::optional<std::string> PercentDecode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const int byte = DecodeEscape(text, i);
    if (byte < 0) return std::nullopt;
    out += static_cast<char>(byte);
    i += 2;
  }
  return out;
}

std::string PercentEncode(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size() + 16);
  for (const char c : text) {
    if (IsUnreserved(c)) {
      out += c;
    } else {
      out += '%';
      out += kHex[static_cast<unsigned char>(c) >> 4];
      out += kHex[static_cast<unsigned char>(c) & 15];
    }
  }
  return out;
}

Status NormalisePath(std::string_view raw, std::string& path) {
  path.clear();
  // The usual path has no escape and no segment that begins with a dot: it is its own normal form.
  if (std::memchr(raw.data(), '%', raw.size()) == nullptr &&
      raw.find("/.") == std::string_view::npos) {
    path.assign(raw);
    return OkStatus();
  }
  size_t segment = 0;  // where the current segment begins in `path`, behind its '/'
  const auto finish_segment = [&](bool last) -> Status {
    const std::string_view text = std::string_view(path).substr(segment);
    if (text == ".") {
      path.resize(segment);
      if (!last) path.pop_back();
    } else if (text == "..") {
      if (segment <= 1) return InvalidArgument("the path climbs above the root by '..'");
      path.resize(path.rfind('/', segment - 2) + 1);
      if (!last) path.pop_back();
    }
    return OkStatus();
  };
  for (size_t i = 0; i < raw.size(); ++i) {
    char c = raw[i];
    if (c == '/') {
      if (i > 0) STARLING_RETURN_IF_ERROR(finish_segment(false));
      path += '/';
      segment = path.size();
      continue;
    }
    if (c == '%') {
      const int byte = DecodeEscape(raw, i);
      if (byte < 0) return Annotate(BadEscape(raw, i), "path");
      if (byte < 0x20 || byte == 0x7f) {
        return InvalidArgument("path: '{}' is a control character, which no path may hold",
                               raw.substr(i, 3));
      }
      i += 2;
      c = static_cast<char>(byte);
      if (c == '/' || c == '%') {
        path += c == '/' ? "%2F" : "%25";
        continue;
      }
    }
    path += c;
  }
  return finish_segment(true);
}

std::string DecodeSegment(std::string_view segment) {
  return PercentDecode(segment).value_or(std::string(segment));
}

}  // namespace starling::http
