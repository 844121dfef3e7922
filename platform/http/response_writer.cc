#include "platform/http/response_writer.h"

#include <fmt/core.h>

#include <array>
#include <charconv>

#include "platform/http/syntax.h"

namespace starling::http {
namespace {

constexpr int kFirstStatus = 100;
constexpr int kLastStatus = 599;

const std::array<std::string, kLastStatus - kFirstStatus + 1>& StatusLines() {
  static const auto lines = [] {
    std::array<std::string, kLastStatus - kFirstStatus + 1> made;
    for (int status = kFirstStatus; status <= kLastStatus; ++status) {
      made[status - kFirstStatus] = fmt::format("HTTP/1.1 {} {}\r\n", status, ReasonPhrase(status));
    }
    return made;
  }();
  return lines;
}

bool IsOurs(std::string_view name) {
  switch (name.size()) {
    case 10:
      return EqualsIgnoreCase(name, "connection");
    case 14:
      return EqualsIgnoreCase(name, "content-length");
    case 17:
      return EqualsIgnoreCase(name, "transfer-encoding");
    default:
      return false;
  }
}

void AppendField(const Headers::Field& field, std::string& out) {
  AppendInLine(field.name, out);
  out.append(": ");
  AppendInLine(field.value, out);
  out.append("\r\n");
}

void AppendFields(const Headers& headers, std::string& out) {
  for (const Headers::Field field : headers) {
    if (!IsOurs(field.name)) AppendField(field, out);
  }
}

}  // namespace

bool MayHaveBody(int status) { return status >= 200 && status != 204 && status != 304; }

void AppendLastChunk(const Headers* trailers, std::string& out) {
  out.append("0\r\n");
  if (trailers != nullptr) {
    for (const Headers::Field field : *trailers) {
      if (MayBeTrailer(field.name)) AppendField(field, out);
    }
  }
  out.append("\r\n");
}

bool IsInterim(int status) { return status >= 100 && status < 200 && status != 101; }

void AppendInterim(const Response& interim, std::string& out) {
  out.append(StatusLines()[interim.status - kFirstStatus]);
  AppendFields(interim.headers, out);
  out.append("\r\n");
}

void AppendHead(const Response& response, BodyFraming framing, ConnectionField connection,
                std::string_view date_line, std::string& out) {
  const bool known = response.status >= kFirstStatus && response.status <= kLastStatus;
  out.append(StatusLines()[(known ? response.status : 500) - kFirstStatus]);
  if (!response.headers.Has("date")) out.append(date_line);
  AppendFields(response.headers, out);
  if (connection == ConnectionField::kClose) out.append("Connection: close\r\n");
  if (connection == ConnectionField::kKeepAlive) out.append("Connection: keep-alive\r\n");
  if (connection == ConnectionField::kUpgrade) out.append("Connection: Upgrade\r\n");
  if (framing == BodyFraming::kChunked) {
    out.append("Transfer-Encoding: chunked\r\n\r\n");
  } else if (framing == BodyFraming::kLength && MayHaveBody(response.status)) {
    char length[24];
    const auto [end, error] = std::to_chars(length, length + sizeof(length),
                                            response.length.value_or(response.body.size()));
    out.append("Content-Length: ").append(length, end).append("\r\n\r\n");
  } else {
    out.append("\r\n");
  }
}

std::string DateLine(TimePoint now) {
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto days = std::chrono::floor<std::chrono::days>(now);
  const std::chrono::year_month_day date(days);
  const std::chrono::hh_mm_ss clock(std::chrono::floor<std::chrono::seconds>(now - days));
  return fmt::format(
      "Date: {}, {:02} {} {:04} {:02}:{:02}:{:02} GMT\r\n",
      kDays[std::chrono::weekday(days).c_encoding()], static_cast<unsigned>(date.day()),
      kMonths[static_cast<unsigned>(date.month()) - 1], static_cast<int>(date.year()),
      clock.hours().count(), clock.minutes().count(), clock.seconds().count());
}

}  // namespace starling::http
