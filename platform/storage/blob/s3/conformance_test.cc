#include "platform/storage/blob/conformance/blob_conformance.h"
#include "platform/storage/blob/s3/s3_store.h"
#include "platform/storage/blob/s3/test_server.h"

namespace starling::blob {
namespace {

class NewBucket final : public Location {
 public:
  explicit NewBucket(std::string prefix = "") { options_.prefix = std::move(prefix); }
  StatusOr<std::unique_ptr<Store>> Open(Runtime& runtime) override {
    return OpenS3(options_, runtime);
  }

 private:
  s3::Options options_ = TestS3::Get().MakeBucket();
};

INSTANTIATE_TEST_SUITE_P(
    S3, BlobConformance,
    ::testing::Values(Adapter{"s3", [] { return std::make_unique<NewBucket>(); }},
                      Adapter{"s3_prefix", [] { return std::make_unique<NewBucket>("shop/t/"); }}),
    [](const ::testing::TestParamInfo<Adapter>& info) { return info.param.name; });

}  // namespace
}  // namespace starling::blob
