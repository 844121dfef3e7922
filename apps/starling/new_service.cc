// starling new service NAME: a contract, a service and a test, in a checkout of Starling.
#include <cstdio>
#include <fstream>
#include <iterator>

#include "apps/starling/commands.h"
#include "apps/starling/load_config.h"

namespace starling {
namespace {

// @name@ is the service's name, @Name@ the same with a capital.
constexpr char kContract[] = R"(// Say what @name@ is for.
syntax = "proto3";

package starling.@name@.v1;

import "contracts/options/v1/options.proto";
import "google/api/annotations.proto";

// Say what the service does.
service @Name@ {
  // Greets somebody.
  rpc SayHello(SayHelloRequest) returns (SayHelloResponse) {
    option (google.api.http) = {get: "/v1/@name@/{name}:hello"};
    option (starling.options.v1.access) = {user: true scope: "@name@.read"};
    option idempotency_level = NO_SIDE_EFFECTS;
  }
}

// Asks for a greeting.
message SayHelloRequest {
  // Whom to greet.
  string name = 1;
}

// A greeting.
message SayHelloResponse {
  // The words.
  string greeting = 1;
}
)";

constexpr char kHeader[] = R"(// Say what @name@ is for, and what it owns.
#pragma once

#include "contracts/@name@/v1/@name@.service.h"
#include "platform/host/hosted_service.h"

namespace starling::@name@ {

class @Name@Service final : public v1::@Name@, public host::HostedService {
 public:
  using Contract = v1::@Name@;
  // Any number of processes may run it; topology.h has what to say once it keeps something.
  static constexpr host::Keeps kKeeps = host::Keeps::kNothing;
  static StatusOr<std::shared_ptr<@Name@Service>> Create(host::Environment&) {
    return std::make_shared<@Name@Service>();
  }

  Task<StatusOr<v1::SayHelloResponse>> SayHello(CallContext& context,
                                                const v1::SayHelloRequest& request) override;
};

}  // namespace starling::@name@
)";

constexpr char kSource[] = R"(#include "services/@name@/@name@_service.h"

namespace starling::@name@ {

Task<StatusOr<v1::SayHelloResponse>> @Name@Service::SayHello(CallContext&,
                                                             const v1::SayHelloRequest& request) {
  if (request.name().size() > 100) {
    co_return InvalidField("name", "has {} bytes; at most 100 are taken", request.name().size());
  }
  v1::SayHelloResponse response;
  response.set_greeting("Hello, " + request.name() + "!");
  co_return response;
}

}  // namespace starling::@name@
)";

constexpr char kTest[] = R"(#include "services/@name@/@name@_service.h"

#include <gtest/gtest.h>

namespace starling::@name@ {
namespace {

TEST(@Name@Service, GreetsByName) {
  @Name@Service service;
  CallContext context = CallContext::ForService("test", std::chrono::seconds(1));
  v1::SayHelloRequest request;
  request.set_name("Ada");
  const auto response = RunSync(service.SayHello(context, request));
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(response->greeting(), "Hello, Ada!");
}

}  // namespace
}  // namespace starling::@name@
)";

constexpr char kCMake[] = R"(starling_library(@name@_service LAYER services
  SOURCES @name@_service.cc
  DEPENDS starling::@name@_contract starling::host)
starling_test(@name@_test SOURCES @name@_service_test.cc DEPENDS starling::@name@_service)
)";

std::string Fill(std::string text, const std::string& name) {
  std::string capital = name;
  capital[0] = static_cast<char>(capital[0] - 'a' + 'A');
  for (const auto& [mark, value] :
       {std::pair<std::string, std::string>{"@name@", name}, {"@Name@", capital}}) {
    for (size_t at = text.find(mark); at != std::string::npos;
         at = text.find(mark, at + value.size())) {
      text.replace(at, mark.size(), value);
    }
  }
  return text;
}

StatusOr<std::string> ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file)
    return NotFound("{} is not here; run this at the root of a checkout of Starling",
                    path.string());
  return std::string(std::istreambuf_iterator<char>(file), {});
}

Status WriteFile(const std::filesystem::path& path, const std::string& text) {
  std::error_code error;
  std::filesystem::create_directories(path.parent_path(), error);
  std::ofstream file(path);
  file << text;
  file.close();
  if (!file) return FailedPrecondition("{} cannot be written", path.string());
  fmt::print("wrote {}\n", path.string());
  return OkStatus();
}

// Puts `line` before or after the line that has `anchor`.
Status AddLine(const std::filesystem::path& path, std::string_view anchor, const std::string& line,
               bool after) {
  STARLING_ASSIGN_OR_RETURN(std::string text, ReadFile(path));
  const size_t found = text.rfind(anchor);
  if (found == std::string::npos)
    return NotFound("{} has no line with '{}' to stand beside", path.string(), anchor);
  const size_t start = text.rfind('\n', found) + 1;
  text.insert(after ? text.find('\n', found) + 1 : start, line + "\n");
  return WriteFile(path, text);
}

Status Write(const std::string& name) {
  for (const char c : name) {
    if (c < 'a' || c > 'z')
      return InvalidArgument("'{}' must be one lower-case word, such as greeting", name);
  }
  if (name.empty() || name.size() > 32) return InvalidArgument("a name has 1 to 32 letters");
  const std::filesystem::path folder = std::filesystem::path("services") / name;
  if (std::filesystem::exists(folder))
    return AlreadyExists("{} exists already; choose another name", folder.string());
  STARLING_RETURN_IF_ERROR(ReadFile("apps/starling/services.cc").status());

  const auto contract = std::filesystem::path("contracts") / name / "v1" / (name + ".proto");
  STARLING_RETURN_IF_ERROR(WriteFile(contract, Fill(kContract, name)));
  STARLING_RETURN_IF_ERROR(WriteFile(folder / (name + "_service.h"), Fill(kHeader, name)));
  STARLING_RETURN_IF_ERROR(WriteFile(folder / (name + "_service.cc"), Fill(kSource, name)));
  STARLING_RETURN_IF_ERROR(WriteFile(folder / (name + "_service_test.cc"), Fill(kTest, name)));
  STARLING_RETURN_IF_ERROR(WriteFile(folder / "CMakeLists.txt", Fill(kCMake, name)));
  STARLING_RETURN_IF_ERROR(AddLine("services/CMakeLists.txt", "add_subdirectory(",
                                   Fill("add_subdirectory(@name@)", name), true));
  STARLING_RETURN_IF_ERROR(
      AddLine("contracts/CMakeLists.txt", "  profile", Fill("  @name@", name), true));
  STARLING_RETURN_IF_ERROR(AddLine("apps/starling/CMakeLists.txt", "  starling::profile_service",
                                   Fill("  starling::@name@_service", name), true));
  STARLING_RETURN_IF_ERROR(AddLine("apps/starling/services.cc", "#include \"services/",
                                   Fill("#include \"services/@name@/@name@_service.h\"", name),
                                   true));
  return AddLine("apps/starling/services.cc", "      host::Serve<",
                 Fill("      host::Serve<@name@::@Name@Service>(),", name), true);
}

}  // namespace

int NewService(const std::string& name) {
  if (const Status written = Write(name); !written.ok()) return Fail(written);
  fmt::print("now: ./dev test, then write what it does in services/{}/{}_service.cc\n", name, name);
  return 0;
}

}  // namespace starling
