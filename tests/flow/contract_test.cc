// A process whose contract is another one: a gRPC server that runs the catalogue, and says of its
// contract what an altered descriptor does.
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include "contracts/catalog/v1/catalog.service.h"
#include "platform/rpc/contract_version.h"
#include "platform/rpc/grpc_channel.h"
#include "platform/rpc/grpc_server.h"
#include "platform/rpc/service_channel.h"
#include "tests/flow/running_process.h"

namespace starling {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::FileDescriptorProto;
using testing::AllOf;
using testing::HasSubstr;
using testing_support::RunningProcess;

constexpr char kContract[] = "starling.catalog.v1.Catalog";
constexpr char kFile[] = "contracts/catalog/v1/catalog.proto";

// The compiled-in contracts, the catalogue's altered.
class Altered {
 public:
  explicit Altered(const std::function<void(FileDescriptorProto&)>& alter) {
    Add(*DescriptorPool::generated_pool()->FindServiceByName(kContract)->file(), alter);
  }
  const DescriptorPool& pool() const { return pool_; }

 private:
  void Add(const google::protobuf::FileDescriptor& file,
           const std::function<void(FileDescriptorProto&)>& alter) {
    if (pool_.FindFileByName(file.name()) != nullptr) return;
    for (int i = 0; i < file.dependency_count(); ++i) Add(*file.dependency(i), alter);
    FileDescriptorProto proto;
    file.CopyTo(&proto);
    if (file.name() == kFile) alter(proto);
    EXPECT_NE(pool_.BuildFile(proto), nullptr) << file.name();
  }
  DescriptorPool pool_;
};

google::protobuf::DescriptorProto& Message(FileDescriptorProto& file, const std::string& name) {
  for (auto& message : *file.mutable_message_type()) {
    if (message.name() == name) return message;
  }
  ADD_FAILURE() << name;
  return *file.add_message_type();
}

class OnePlace final : public discovery::Resolver {
 public:
  explicit OnePlace(std::string address) : address_(std::move(address)) {}
  StatusOr<std::unique_ptr<discovery::Watch>> Watch(std::string, OnChange on_change) override {
    on_change({{.address = address_}});
    return std::make_unique<discovery::Watch>();
  }

 private:
  const std::string address_;
};

#ifndef __SANITIZE_THREAD__  // as in three_ways_test.cc
class Contract : public testing::Test {
 protected:
  // Serves the process' services under the altered contract, and gives a way to them.
  std::shared_ptr<catalog::v1::Catalog> Serve(const DescriptorPool& pool) {
    server_ = std::make_unique<rpc::GrpcServer>(
        running_.process().runtime(), running_.process().services(),
        rpc::GrpcServer::Options{
            .version = "9.9.9", .contracts = &pool, .cluster_key = "test-cluster"});
    const StatusOr<int> port = server_->Start();
    EXPECT_TRUE(port.ok()) << port.status();
    OnePlace resolver("127.0.0.1:" + std::to_string(*port));
    rpc::ServiceChannelOptions options{
        .service = "catalog",
        .open = [this](const discovery::Endpoint& endpoint) -> std::shared_ptr<rpc::Channel> {
          return rpc::MakeGrpcChannel({.target = endpoint.address,
                                       .cluster_key = "test-cluster",
                                       .contract = kContract,
                                       .version = "0.1.0",
                                       .metrics = &telemetry_.metrics()});
        },
        .connect_patience = std::chrono::seconds(10)};
    auto channel = rpc::ServiceChannel::Open(std::move(options), resolver, telemetry_);
    EXPECT_TRUE(channel.ok());
    return catalog::v1::Catalog::Connect(*channel);
  }
  Status Get(catalog::v1::Catalog& catalog) {
    catalog::v1::GetProductRequest request;
    request.set_product_id("no-such-thing");
    rpc::CallContext context = rpc::CallContext::ForService("test", std::chrono::seconds(20));
    return running_.process().runtime().Block(catalog.GetProduct(context, request)).status();
  }
  bool Counted(std::string_view result) {
    return telemetry_.metrics().Expose().find(
               fmt::format("starling_client_contracts_total{{contract=\"{}\",result=\"{}\"}} 1",
                           kContract, result)) != std::string::npos;
  }
  // What the catalogue itself has seen of it.
  bool CatalogWasCalled() {
    const auto response = running_.process().runtime().Block(
        [](http::Client& client, int port) -> Task<StatusOr<http::ClientResponse>> {
          http::ClientRequest request{.url = fmt::format("http://127.0.0.1:{}/metrics", port)};
          StatusOr<http::ClientResponse> answer = co_await client.Send(std::move(request));
          co_return answer;
        }(running_.client(), running_.process().admin_port()));
    EXPECT_TRUE(response.ok()) << response.status();
    return response->body.find(
               "starling_rpc_requests_total{service=\"catalog\",method="
               "\"GetProduct\",code=\"NOT_FOUND\"} ") != std::string::npos;
  }

  RunningProcess running_;
  telemetry::Telemetry telemetry_;
  std::unique_ptr<rpc::GrpcServer> server_;
};

TEST_F(Contract, TheSameIsCalled) {
  const auto catalog = Serve(*DescriptorPool::generated_pool());
  EXPECT_EQ(Get(*catalog).code(), StatusCode::kNotFound);
  EXPECT_TRUE(Counted("same"));
  EXPECT_TRUE(CatalogWasCalled());
}

TEST_F(Contract, ACompatibleOneIsCalledAndCounted) {
  const Altered altered([](FileDescriptorProto& file) {
    auto* field = Message(file, "Product").add_field();
    field->set_name("only_there");
    field->set_number(999);
    field->set_type(google::protobuf::FieldDescriptorProto::TYPE_STRING);
    field->set_label(google::protobuf::FieldDescriptorProto::LABEL_OPTIONAL);
  });
  const auto catalog = Serve(altered.pool());
  EXPECT_EQ(Get(*catalog).code(), StatusCode::kNotFound);
  EXPECT_TRUE(Counted("compatible"));
}

TEST_F(Contract, ABreakingOneIsNeverCalledAndTheErrorSaysWhy) {
  const Altered altered([](FileDescriptorProto& file) {
    for (auto& field : *Message(file, "Product").mutable_field()) {
      if (field.name() == "title") field.set_name("heading");
    }
  });
  const auto catalog = Serve(altered.pool());
  const Status refused = Get(*catalog);
  EXPECT_EQ(refused.code(), StatusCode::kUnavailable);
  EXPECT_EQ(Reason(refused), rpc::kContractMismatch);
  const std::string ours =
      rpc::ContractDigest(rpc::ContractFiles(*DescriptorPool::generated_pool(), kContract));
  const std::string theirs = rpc::ContractDigest(rpc::ContractFiles(altered.pool(), kContract));
  EXPECT_THAT(std::string(refused.message()),
              AllOf(HasSubstr("127.0.0.1:"), HasSubstr("starling.catalog.v1"), HasSubstr(ours),
                    HasSubstr(theirs), HasSubstr("9.9.9"), HasSubstr("0.1.0"),
                    HasSubstr("is title here and heading there")));
  EXPECT_TRUE(Counted("breaking"));
  EXPECT_FALSE(CatalogWasCalled());
}
#endif

}  // namespace
}  // namespace starling
