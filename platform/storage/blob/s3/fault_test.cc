// What happens when S3 is busy, refuses, loses an answer, hangs or is gone: by a server that says
// what it is told to, and by a real one that is killed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>

#include "platform/http/server.h"
#include "platform/storage/blob/s3/s3_store.h"
#include "platform/storage/blob/s3/test_server.h"

namespace starling::blob {
namespace {

using http::Verb;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string ErrorBody(std::string_view code) {
  return fmt::format(
      "<?xml version=\"1.0\"?><Error><Code>{}</Code><Message>it is {}</Message></Error>", code,
      code);
}

// Answers each request by `script`, which is given its number from 1 on; keeps "VERB target".
class ScriptedS3 {
 public:
  using Script = std::function<void(int number, const http::Request&, http::Response&)>;
  explicit ScriptedS3(Script script) : script_(std::move(script)) {
    http::Router router;
    for (const Verb verb : {Verb::kGet, Verb::kHead, Verb::kPost, Verb::kPut, Verb::kDelete}) {
      for (const char* path : {"/bucket", "/bucket/{key}"}) {
        const auto handler = [this](http::Exchange& exchange) -> Task<void> {
          Answer(exchange.request, exchange.response);
          co_return;
        };
        EXPECT_TRUE(router.Add(verb, path, handler, {.max_body_bytes = 16 << 20}).ok());
      }
    }
    server_ = std::make_unique<http::Server>(
        runtime_, http::ServerOptions{}, std::make_shared<const http::Router>(std::move(router)));
    options_.url = fmt::format("http://127.0.0.1:{}", server_->Start().value());
    store_ = OpenS3(options_, runtime_).value();
    seen_.clear();
  }
  s3::Options& options() { return options_; }
  Store& store() { return *store_; }
  void Reopen() {
    store_ = OpenS3(options_, runtime_).value();
    seen_.clear();
  }
  std::vector<std::string> Seen() {
    const std::lock_guard lock(mutex_);
    return seen_;
  }

 private:
  void Answer(const http::Request& request, http::Response& response) {
    const std::lock_guard lock(mutex_);
    if (request.query.starts_with("list-type=2&max-keys=1&")) return;  // as it is opened
    seen_.push_back(request.verb_text + " " + request.target);
    script_(static_cast<int>(seen_.size()), request, response);
  }

  const Script script_;
  std::mutex mutex_;
  std::vector<std::string> seen_;
  Runtime runtime_{{.io_threads = 2}};
  const StopAtEnd stop_{runtime_};
  std::unique_ptr<http::Server> server_;
  s3::Options options_{.bucket = "bucket",
                       .access_key = "key",
                       .secret_key = "secret",
                       .backoff = {.base = milliseconds(1), .longest = milliseconds(2)}};
  std::unique_ptr<Store> store_;
};

Status Put(Store& store, std::string_view bytes, PutOptions options = {}) {
  Bytes source(bytes);
  return store.Put("key", source, options).status();
}

TEST(S3Fault, ABusyServerIsAskedAgain) {
  const std::vector<std::pair<int, std::string>> busy = {{503, "SlowDown"},
                                                         {500, "InternalError"},
                                                         {429, ""},
                                                         {400, "RequestTimeout"},
                                                         {409, "ConditionalRequestConflict"}};
  ScriptedS3 s3([&](int number, const http::Request&, http::Response& response) {
    if (number > static_cast<int>(busy.size())) return;
    response.status = busy[static_cast<size_t>(number) - 1].first;
    response.SetBody("application/xml", ErrorBody(busy[static_cast<size_t>(number) - 1].second));
  });
  EXPECT_TRUE(Put(s3.store(), "bytes").ok());
  EXPECT_EQ(s3.Seen().size(), 6u);
}

TEST(S3Fault, ButNotForEver) {
  ScriptedS3 s3([&](int, const http::Request&, http::Response& response) {
    response.status = 503;
    response.SetBody("application/xml", ErrorBody("SlowDown"));
  });
  const Status put = Put(s3.store(), "bytes");
  EXPECT_EQ(put.code(), StatusCode::kUnavailable);
  EXPECT_THAT(std::string(put.message()), HasSubstr("it is SlowDown"));
  EXPECT_EQ(s3.Seen().size(), 6u);
  s3.options().patience = Duration(0);
  s3.Reopen();
  EXPECT_EQ(Put(s3.store(), "bytes").code(), StatusCode::kUnavailable);
  EXPECT_EQ(s3.Seen().size(), 1u);
}

TEST(S3Fault, WhatIsRefusedIsNotAskedAgain) {
  ScriptedS3 s3([&](int, const http::Request&, http::Response& response) {
    response.status = 403;
    response.SetBody("application/xml", ErrorBody("SignatureDoesNotMatch"));
  });
  const Status put = Put(s3.store(), "bytes");
  EXPECT_EQ(put.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(put.message()), HasSubstr("SignatureDoesNotMatch"));
  EXPECT_EQ(s3.Seen().size(), 1u);
}

TEST(S3Fault, APutWhoseAnswerWasLostIsKnownAsOurs) {
  for (const bool ours : {true, false}) {
    std::string put_id;
    ScriptedS3 s3([&](int number, const http::Request& request, http::Response& response) {
      if (number == 1) {
        put_id = std::string(request.headers.Find("x-amz-meta-put").value_or(""));
        EXPECT_EQ(request.headers.Find("if-none-match"), "*");
        response.status = 500;  // it was stored before
      } else if (request.verb == Verb::kPut) {
        response.status = 412;
      } else {
        response.headers.Set("x-amz-meta-put", ours ? put_id : "another");
        response.headers.Set("x-amz-meta-sha256", std::string(64, 'a'));
      }
    });
    const Status put = Put(s3.store(), "bytes", {.only_if_absent = true});
    EXPECT_EQ(put.code(), ours ? StatusCode::kOk : StatusCode::kAlreadyExists) << put;
    EXPECT_THAT(s3.Seen(), ElementsAre("PUT /bucket/key", "PUT /bucket/key", "HEAD /bucket/key"));
  }
}

TEST(S3Fault, AnUploadThatFailsIsAborted) {
  ScriptedS3 s3([&](int, const http::Request& request, http::Response& response) {
    if (request.query == "uploads=") {
      response.SetBody("application/xml", "<R><UploadId>u1</UploadId></R>");
    } else if (request.query == "partNumber=2&uploadId=u1") {
      response.status = 403;
    } else {
      response.headers.Set("etag", "\"e\"");
    }
  });
  EXPECT_EQ(Put(s3.store(), std::string(9 << 20, 'x')).code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(
      s3.Seen(),
      ElementsAre("POST /bucket/key?uploads=", "PUT /bucket/key?partNumber=1&uploadId=u1",
                  "PUT /bucket/key?partNumber=2&uploadId=u1", "DELETE /bucket/key?uploadId=u1"));
}

TEST(S3Fault, AnErrorInsideAnAnswerOf200IsAnError) {
  int completions = 0;
  ScriptedS3 s3([&](int, const http::Request& request, http::Response& response) {
    if (request.query == "uploads=") {
      response.SetBody("application/xml", "<R><UploadId>u1</UploadId></R>");
    } else if (request.verb == Verb::kPost) {
      EXPECT_THAT(request.body, HasSubstr("<PartNumber>2</PartNumber><ETag>\"e2\"</ETag>"));
      response.SetBody("application/xml", ++completions == 1
                                              ? ErrorBody("InternalError")
                                              : "<R><ETag>&quot;whole&quot;</ETag></R>");
    } else {
      response.headers.Set("etag", request.query.starts_with("partNumber=2") ? "\"e2\"" : "\"e1\"");
    }
  });
  const std::string bytes(9 << 20, 'x');
  Bytes source(bytes);
  const auto put = s3.store().Put("key", source);
  ASSERT_TRUE(put.ok()) << put.status();
  EXPECT_EQ(put->etag, "\"whole\"");
  EXPECT_EQ(completions, 2);
}

TEST(S3Fault, AnObjectOfOthersIsNoBlob) {
  ScriptedS3 s3([](int, const http::Request&, http::Response&) {});
  EXPECT_EQ(s3.store().GetAll("key").status().code(), StatusCode::kDataLoss);
}

TEST(S3Fault, WrongCredentialsAndNoBucketAreToldAtTheStart) {
  Runtime runtime{{.io_threads = 1}};
  s3::Options options = TestS3::Get().MakeBucket();
  s3::Options wrong = options;
  wrong.secret_key = "another";
  const Status refused = OpenS3(wrong, runtime).status();
  EXPECT_EQ(refused.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("SignatureDoesNotMatch"));
  wrong = options;
  wrong.bucket = "absent";
  const Status absent = OpenS3(wrong, runtime).status();
  EXPECT_EQ(absent.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(absent.message()), HasSubstr("no bucket 'absent'"));
}

TEST(S3Fault, WhatWasPutSurvivesAKillAndWhileItIsGoneCallsEnd) {
  TestS3 server;
  Runtime runtime{{.io_threads = 1}};
  s3::Options options = server.MakeBucket();
  options.attempts = 2;
  options.request_timeout = milliseconds(500);
  auto store = OpenS3(options, runtime).value();
  ASSERT_TRUE(Put(*store, "kept").ok());
  ASSERT_TRUE(server.engine().Kill().ok());
  EXPECT_EQ(store->GetAll("key").status().code(), StatusCode::kUnavailable);
  ASSERT_TRUE(server.engine().StartAgain().ok());
  EXPECT_EQ(store->GetAll("key").value(), "kept");
  ASSERT_TRUE(server.engine().Pause().ok());
  EXPECT_EQ(Put(*store, "hangs").code(), StatusCode::kUnavailable);
  ASSERT_TRUE(server.engine().Resume().ok());
}

}  // namespace
}  // namespace starling::blob
