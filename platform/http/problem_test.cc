#include "platform/http/problem.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace starling::http {
namespace {

using std::chrono::milliseconds;

TEST(Problem, OfTooMuchForNowHasTheRegisteredType) {
  const Response response =
      ProblemResponse(Overloaded("too many", std::chrono::seconds(2)), "/x", "", "/search at once");
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(response.headers.Find("retry-after"), "2");
  EXPECT_EQ(
      response.body,
      R"({"type":"https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",)"
      R"("title":"Request cannot be satisfied due to temporary server capacity constraints",)"
      R"("status":503,"detail":"too many","code":"UNAVAILABLE","instance":"/x",)"
      R"("reason":"OVERLOADED","violated-policies":["/search at once"]})");
}

TEST(HttpStatus, FollowsTheTable) {
  const std::pair<StatusCode, int> cases[] = {
      {StatusCode::kOk, 200},
      {StatusCode::kInvalidArgument, 400},
      {StatusCode::kOutOfRange, 400},
      {StatusCode::kFailedPrecondition, 400},
      {StatusCode::kUnauthenticated, 401},
      {StatusCode::kPermissionDenied, 403},
      {StatusCode::kNotFound, 404},
      {StatusCode::kAlreadyExists, 409},
      {StatusCode::kAborted, 409},
      {StatusCode::kResourceExhausted, 429},
      {StatusCode::kCancelled, 499},
      {StatusCode::kInternal, 500},
      {StatusCode::kUnknown, 500},
      {StatusCode::kDataLoss, 500},
      {StatusCode::kUnimplemented, 501},
      {StatusCode::kUnavailable, 503},
      {StatusCode::kDeadlineExceeded, 504},
  };
  for (const auto& [code, http] : cases)
    EXPECT_EQ(HttpStatus(Status(code, "x")), http) << absl::StatusCodeToString(code);
}

TEST(HttpStatus, IsRefinedByTheReason) {
  const std::pair<std::string_view, int> cases[] = {
      {reason::kEtagMismatch, 412},           {reason::kIdempotencyKeyReused, 422},
      {reason::kIdempotencyKeyInFlight, 409}, {reason::kOverloaded, 503},
      {reason::kQuotaExceeded, 429},          {reason::kPayloadTooLarge, 413},
      {reason::kUnsupportedMediaType, 415},   {reason::kRequestTimeout, 408},
      {reason::kFieldsTooLarge, 431},         {reason::kMethodNotAllowed, 405},
      {reason::kStorageFailed, 503},          {"SOMETHING_ELSE", 400},
  };
  for (const auto& [reason, http] : cases) {
    EXPECT_EQ(HttpStatus(WithReason(FailedPrecondition("x"), reason)), http) << reason;
  }
}

TEST(Problem, TellsACallerNothingOfTheServersFiles) {
  const Response full = ProblemResponse(DiskFull("/srv/data/catalog.sqlite"), "/v1/x", "00ff");
  EXPECT_EQ(full.status, 503);
  EXPECT_EQ(full.headers.Find("retry-after"), "5");
  EXPECT_EQ(full.body.find("/srv"), std::string::npos) << full.body;
  EXPECT_NE(full.body.find("storage is full, busy or failing"), std::string::npos) << full.body;
}

TEST(Problem, OfAQuotaHasTheRegisteredTypeAndNamesThePolicy) {
  const Status status = WithRetryAfter(
      WithReason(ResourceExhausted("too many"), reason::kQuotaExceeded), milliseconds(1'200));
  const Response response = ProblemResponse(status, "/v1/x", "00ff", "requests");
  EXPECT_EQ(response.status, 429);
  EXPECT_EQ(response.headers.Find("retry-after"), "2");
  EXPECT_EQ(response.body,
            R"({"type":"https://iana.org/assignments/http-problem-types#quota-exceeded",)"
            R"("title":"Request cannot be satisfied as assigned quota has been exceeded",)"
            R"("status":429,"detail":"too many","code":"RESOURCE_EXHAUSTED","instance":"/v1/x",)"
            R"("trace_id":"00ff","reason":"QUOTA_EXCEEDED","violated-policies":["requests"]})");
  EXPECT_EQ(StatusFromHttp(429, response.headers, response.body),
            WithRetryAfter(status, std::chrono::seconds(2)));
}

TEST(Problem, IsTheDocumentOfRfc9457) {
  Status status = InvalidFields({{"limit", "-1 is below 0"}, {"name", "\"\n\x01"}});
  const Response response = ProblemResponse(WithReason(status, "BAD"), "/v1/x", "00ff");
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(response.headers.Find("content-type"), "application/problem+json");
  EXPECT_EQ(response.headers.Find("retry-after"), std::nullopt);
  EXPECT_EQ(
      response.body,
      R"({"type":"about:blank","title":"Bad Request","status":400,)"
      R"("detail":"limit: -1 is below 0; name: \"\u000a\u0001","code":"INVALID_ARGUMENT",)"
      R"("instance":"/v1/x","trace_id":"00ff","reason":"BAD","violations":[)"
      R"({"field":"limit","description":"-1 is below 0"},{"field":"name","description":"\"\u000a\u0001"}]})");
}

TEST(Problem, SaysWhenToRetryInWholeSecondsRoundedUp) {
  const std::pair<int, const char*> cases[] = {{0, "0"}, {1, "1"}, {1000, "1"}, {1001, "2"}};
  for (const auto& [delay, header] : cases) {
    EXPECT_EQ(ProblemResponse(Overloaded("busy", milliseconds(delay))).headers.Find("Retry-After"),
              header)
        << delay;
  }
}

TEST(Problem, SaysWhenToRetryWhateverIsUnavailable) {
  EXPECT_EQ(ProblemResponse(Unavailable("gone")).headers.Find("Retry-After"), "1");
  EXPECT_EQ(ProblemResponse(WithRetryAfter(Unavailable("gone"), milliseconds(2500)))
                .headers.Find("Retry-After"),
            "3");
  EXPECT_EQ(ProblemResponse(Internal("broken")).headers.Find("Retry-After"), std::nullopt);
}

TEST(Problem, AsksForATokenWith401) {
  EXPECT_EQ(ProblemResponse(Unauthenticated("no token")).headers.Find("WWW-Authenticate"),
            "Bearer");
  EXPECT_EQ(ProblemResponse(NotFound("x")).headers.Find("WWW-Authenticate"), std::nullopt);
}

TEST(Problem, KeepsTheDetailsOfOurFaultsToItself) {
  for (const Status& status : {Internal("password is x"), DataLoss("password is x"),
                               Status(StatusCode::kUnknown, "password")}) {
    EXPECT_EQ(ProblemResponse(status).body.find("password"), std::string::npos);
  }
}

TEST(Problem, IsAlwaysUtf8) {
  const Response response = ProblemResponse(NotFound("\xff\xfe"));
  EXPECT_NE(response.body.find("\"detail\":\"?"
                               "?\""),
            std::string::npos)
      << response.body;
}

TEST(StatusFromHttp, GoesTheWayBackExactly) {
  Status status = InvalidFields({{"a.b", "is missing"}});
  status = WithRetryAfter(WithReason(status, reason::kQuotaExceeded), milliseconds(1500));
  const Response response = ProblemResponse(status);
  const Status back = StatusFromHttp(response.status, response.headers, response.body);
  EXPECT_EQ(response.status, 429);
  EXPECT_EQ(back.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(back.message(), status.message());
  EXPECT_EQ(Reason(back), reason::kQuotaExceeded);
  EXPECT_THAT(FieldViolations(back), testing::ElementsAre(FieldViolation{"a.b", "is missing"}));
  EXPECT_EQ(RetryAfter(back), milliseconds(2000));
}

TEST(StatusFromHttp, MakesTheBestOfOtherAnswers) {
  Headers json;
  json.Set("content-type", "application/problem+json; charset=utf-8");
  const std::pair<int, StatusCode> cases[] = {
      {200, StatusCode::kOk},
      {204, StatusCode::kOk},
      {304, StatusCode::kOk},
      {400, StatusCode::kInvalidArgument},
      {401, StatusCode::kUnauthenticated},
      {404, StatusCode::kNotFound},
      {418, StatusCode::kInvalidArgument},
      {429, StatusCode::kResourceExhausted},
      {500, StatusCode::kInternal},
      {502, StatusCode::kUnavailable},
      {503, StatusCode::kUnavailable},
      {504, StatusCode::kDeadlineExceeded},
  };
  for (const auto& [http, code] : cases) {
    EXPECT_EQ(StatusFromHttp(http, {}, "text").code(), code) << http;
    for (const char* broken :
         {"", "{", "[]", "3", R"({"code":"NONSENSE","violations":[1,{"field":2}]})"}) {
      EXPECT_EQ(StatusFromHttp(http, json, broken).code(), code) << http << broken;
    }
  }
}

}  // namespace
}  // namespace starling::http
