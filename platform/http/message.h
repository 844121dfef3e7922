// An HTTP request and response as the server, the router and the handlers see them.
//
//   if (request.verb == Verb::kPost && request.headers.Find("content-type") == "application/json")
//   ... STARLING_ASSIGN_OR_RETURN(QueryParameters query, ParseQuery(request.query));
//   response.headers.Set("content-type", "application/json");
//
// A request is reused by its connection for the next one, so that a small request costs no
// allocation: whoever needs it longer copies it. Nothing here is thread-safe; a request and its
// response stay on their io thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "platform/base/clock.h"
#include "platform/base/status.h"

namespace starling::http {

enum class Verb : uint8_t { kGet, kHead, kPost, kPut, kPatch, kDelete, kOptions, kOther };

// Methods are case-sensitive (RFC 9110, 9.1): "get" is kOther.
Verb ParseVerb(std::string_view text);
std::string_view VerbText(Verb verb);  // kOther: "OTHER"

// ASCII only, as field names and tokens are compared.
bool EqualsIgnoreCase(std::string_view a, std::string_view b);

// Header fields in the order they came, in one flat buffer that keeps its memory when cleared.
// Names compare without regard to case. Views that it gives out are good until the next change of
// the same Headers. Names and values are kept as given; the server writes CR, LF and NUL in them as
// spaces, so a value cannot split a response.
class Headers {
 public:
  struct Field {
    std::string_view name;
    std::string_view value;
  };

  void Add(std::string_view name, std::string_view value);
  // Replaces every field of that name.
  void Set(std::string_view name, std::string_view value);
  void Remove(std::string_view name);
  void Clear();

  // The first field of that name. O(number of fields).
  std::optional<std::string_view> Find(std::string_view name) const;
  bool Has(std::string_view name) const { return Find(name).has_value(); }
  // Every field of that name, joined by ", " as RFC 9110, 5.3 allows.
  std::string Joined(std::string_view name) const;

  size_t size() const { return entries_.size(); }
  bool empty() const { return entries_.empty(); }
  Field operator[](size_t index) const;

  class Iterator {
   public:
    Iterator(const Headers* headers, size_t index) : headers_(headers), index_(index) {}
    Field operator*() const { return (*headers_)[index_]; }
    Iterator& operator++() {
      ++index_;
      return *this;
    }
    bool operator==(const Iterator&) const = default;

   private:
    const Headers* headers_;
    size_t index_;
  };
  Iterator begin() const { return {this, 0}; }
  Iterator end() const { return {this, entries_.size()}; }

 private:
  struct Entry {
    uint32_t at;  // of the name in text_; the value follows it
    uint32_t name_size;
    uint32_t value_size;
  };
  std::string text_;
  std::vector<Entry> entries_;
};

// Who the client is by the certificate that it has shown and one of the server's client_ca_file has
// signed (TlsOptions).
struct ClientCertificate {
  std::string subject;  // RFC 2253: "CN=device-7,O=Shop"
  std::string issuer;
  std::string sha256;                          // of the certificate, 64 hex digits
  std::vector<std::string> alternative_names;  // "DNS:a.example", "URI:spiffe://...", "email:a@b"
};

struct Request {
  Verb verb = Verb::kGet;
  std::string verb_text;  // as sent: "GET", "PROPFIND"
  std::string target;     // as sent: "/v1/products/a%2Fb?limit=3"
  // The target's path in its one normal form: percent-decoded once, "." and ".." resolved, and only
  // '/' and '%' that were encoded left encoded ("%2F", "%25"), so that segments stay what the
  // client meant. DecodeSegment takes the rest off; the router does it for path parameters. "*" for
  // `OPTIONS *`.
  std::string path;
  std::string query;      // after '?', raw; see ParseQuery
  int major_version = 1;  // 2: HTTP/2, whose Host is :authority's and whose fields are lower-case
  int minor_version = 1;  // HTTP/1.<minor_version>; of HTTP/2 it says nothing
  Headers headers;
  std::string body;

  std::string
      remote_address;  // "127.0.0.1" or "::1": the peer of the connection, not what a proxy claims
  uint64_t connection_id = 0;
  bool tls = false;
  std::shared_ptr<const ClientCertificate> client_certificate;  // nullptr: none was shown
  Instant received{};  // when the last byte of the head came
  int thread_index = 0;

  // Forgets the message, keeps memory and what belongs to the connection.
  void Clear();
};

class EncodedForms;  // coding/encoded_forms.h

struct Response {
  int status = 200;
  // Content-Length, Connection and Transfer-Encoding are the server's to write, and Date where
  // there is none.
  Headers headers;
  std::string body;
  // Of a body that is not in `body`: that of GET in the answer to HEAD, or what will be streamed,
  // which then goes out under this length instead of in chunks.
  std::optional<uint64_t> length;
  // Sent behind the body (RFC 9110, 6.5) over HTTP/2, and over HTTP/1.1 to a client that said `TE:
  // trailers`; to others they are not. May be filled while the body is streamed.
  Headers trailers;
  // Where compressed forms of this body are kept by who gives it many times; nullptr: nowhere.
  std::shared_ptr<EncodedForms> forms;
  bool problem = false;  // made by ProblemResponse, and by no server behind us

  void Clear();
  void SetBody(std::string_view content_type, std::string content);
};

// "Not Found" for 404; "Status" for codes without a name here.
std::string_view ReasonPhrase(int status);

using QueryParameters = std::vector<std::pair<std::string, std::string>>;

// application/x-www-form-urlencoded: '+' is a space, "%41" is 'A', "a" alone has the value "". In
// the order they came, repeated names kept, empty pieces ("a=1&&b=2") skipped. INVALID_ARGUMENT
// naming a malformed escape, and above 1000 parameters.
StatusOr<QueryParameters> ParseQuery(std::string_view query);

// Percent-decodes without '+'. nullopt for a malformed escape.
std::optional<std::string> PercentDecode(std::string_view text);
// Encodes all but RFC 3986's unreserved characters.
std::string PercentEncode(std::string_view text);

// Request::path from a raw path; INVALID_ARGUMENT for a malformed escape, an encoded control
// character, or a path that climbs above the root. Writes into `path`, whose memory it reuses.
Status NormalisePath(std::string_view raw, std::string& path);
// The text of one segment of a normal path: "a%2Fb" -> "a/b".
std::string DecodeSegment(std::string_view segment);

}  // namespace starling::http
