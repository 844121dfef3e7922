// Linked into a service's tests, runs them with their blobs on S3: each environment in a bucket of
// its own.
#include "platform/host/test_environment.h"
#include "platform/storage/blob/s3/test_server.h"

namespace starling::host {
namespace {

const bool chosen = [] {
  TestEnvironment::make_blobs = [] {
    const blob::s3::Options bucket = blob::TestS3::Get().MakeBucket();
    return BlobStorageConfig{.engine = BlobStorageConfig::Engine::kS3,
                             .url = bucket.url,
                             .bucket = bucket.bucket,
                             .access_key = config::Secret(bucket.access_key),
                             .secret_key = config::Secret(bucket.secret_key)};
  };
  return true;
}();

}  // namespace
}  // namespace starling::host
