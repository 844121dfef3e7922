#include "platform/http/static_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "platform/base/id.h"
#include "platform/http/router.h"

namespace starling::http {
namespace {

using testing::HasSubstr;

constexpr EmbeddedFile kFiles[] = {
    {"index.html", "<h1>hello</h1>"}, {"app.js", "let a;"}, {"data.bin", "\x01"}};

// A route over the handler, asked for `path`.
Response Get(const Handler& handler, std::string_view path, std::string_view if_none_match = {}) {
  Router router;
  EXPECT_TRUE(router.Add(Verb::kGet, "/{file=**}", handler).ok());
  DetachedExchange exchange;
  EXPECT_TRUE(NormalisePath(path, exchange.request.path).ok()) << path;
  if (!if_none_match.empty()) exchange.request.headers.Add("If-None-Match", if_none_match);
  RunSync(router.Handle(exchange));
  return exchange.response;
}

TEST(EmbeddedFiles, HaveATypeAndAnEtag) {
  const Handler handler = ServeFiles(kFiles, {.cache_control = "max-age=60"});
  const Response index = Get(handler, "/");
  EXPECT_EQ(index.status, 200);
  EXPECT_EQ(index.body, "<h1>hello</h1>");
  EXPECT_EQ(index.headers.Find("content-type"), "text/html; charset=utf-8");
  EXPECT_EQ(index.headers.Find("cache-control"), "max-age=60");
  EXPECT_EQ(index.headers.Find("x-content-type-options"), "nosniff");
  EXPECT_EQ(Get(handler, "/app.js").headers.Find("content-type"), "text/javascript; charset=utf-8");
  EXPECT_EQ(Get(handler, "/data.bin").headers.Find("content-type"), "application/octet-stream");
  EXPECT_NE(Get(handler, "/app.js").headers.Find("etag"), index.headers.Find("etag"));
  EXPECT_EQ(Get(handler, "/none.js").status, 404);
}

TEST(EmbeddedFiles, AreNotSentAgainWhenTheClientHasThem) {
  const Handler handler = ServeFiles(kFiles, {});
  const std::string etag(*Get(handler, "/app.js").headers.Find("etag"));
  for (const std::string& value : {etag, "W/" + etag, "\"other\", " + etag, std::string("*")}) {
    const Response response = Get(handler, "/app.js", value);
    EXPECT_EQ(response.status, 304) << value;
    EXPECT_EQ(response.body, "") << value;
    EXPECT_EQ(response.headers.Find("etag"), etag) << value;
  }
  EXPECT_EQ(Get(handler, "/app.js", "\"other\"").status, 200);
}

TEST(EmbeddedFiles, FallBackToTheEntryOfASinglePageApplication) {
  const Handler handler = ServeFiles(kFiles, {.fallback = "index.html"});
  EXPECT_EQ(Get(handler, "/orders/7").body, "<h1>hello</h1>");
  EXPECT_EQ(Get(handler, "/orders/7.js").status, 404);
}

class Folder : public testing::Test {
 protected:
  Folder() : root_(std::filesystem::path(testing::TempDir()) / NewId()) {
    std::filesystem::create_directories(root_ / "site/css");
    std::filesystem::create_directories(root_ / "site/.git");
    Write("site/index.html", "index");
    Write("site/css/a.css", "a{}");
    Write("site/css/index.html", "css index");
    Write("site/.git/config", "secret");
    Write("site/.env", "secret");
    Write("site/large.txt", std::string(2000, 'x'));
    Write("secret.txt", "secret");
    std::filesystem::create_symlink("../secret.txt", root_ / "site/link.txt");
    std::filesystem::create_directory_symlink("..", root_ / "site/up");
    EXPECT_EQ(::mkfifo((root_ / "site/fifo").c_str(), 0600), 0);
    StatusOr<Handler> handler =
        ServeFolder(pool_, (root_ / "site").string(), {.fallback = "", .max_file_bytes = 1000});
    EXPECT_TRUE(handler.ok());
    handler_ = *handler;
  }
  ~Folder() override { std::filesystem::remove_all(root_); }

  void Write(const std::string& name, const std::string& content) {
    std::ofstream(root_ / name, std::ios::binary | std::ios::trunc) << content;
  }

  BlockingPool pool_{{.threads = 1}};
  std::filesystem::path root_;
  Handler handler_;
};

TEST_F(Folder, ServesItsFilesAsTheyAreNow) {
  EXPECT_EQ(Get(handler_, "/").body, "index");
  EXPECT_EQ(Get(handler_, "/css/").body, "css index");
  const Response before = Get(handler_, "/css/a.css");
  EXPECT_EQ(before.body, "a{}");
  EXPECT_EQ(before.headers.Find("content-type"), "text/css; charset=utf-8");
  EXPECT_EQ(Get(handler_, "/css/a.css", *before.headers.Find("etag")).status, 304);
  Write("site/css/a.css", "b{}");
  EXPECT_EQ(Get(handler_, "/css/a.css", *before.headers.Find("etag")).body, "b{}");
}

TEST_F(Folder, LetsNoPathOutOfIt) {
  for (const char* path : {"/none",
                           "/css",
                           "/.env",
                           "/.git/config",
                           "/link.txt",
                           "/up/secret.txt",
                           "/up/site/index.html",
                           "/..%2Fsecret.txt",
                           "/%2e%2e%2fsecret.txt",
                           "/css/..%2f..%2fsecret.txt",
                           "/css%2Fa.css",
                           "//etc/passwd",
                           "/%2Fetc%2Fpasswd",
                           "/css\\a.css",
                           "/..\\secret.txt",
                           "/fifo",
                           "/large.txt",
                           "/index.html/",
                           "/index.html/x",
                           "/css//a.css"}) {
    const Response response = Get(handler_, path);
    EXPECT_EQ(response.status, 404) << path;
    EXPECT_EQ(response.body.find("secret\""), std::string::npos) << path;
  }
}

TEST(ServeFolder, RefusesWhatIsNoFolder) {
  BlockingPool pool({.threads = 1});
  const Status status = ServeFolder(pool, "/no/such/folder", {}).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("/no/such/folder"));
}

}  // namespace
}  // namespace starling::http
