// What the brokers know of groups, asked of librdkafka's mock broker, which errs when told to.
#include "platform/messaging/kafka/cluster.h"

#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

namespace starling::messaging::kafka {
namespace {

constexpr int16_t kOffsetFetch = 9;  // the key of its API, as Kafka's protocol has it

class MockBroker {
 public:
  MockBroker()
      : client_(MakeClient(Role::kProducer, {.brokers = "127.0.0.1:1"}, {}).value()),
        mock_(rd_kafka_mock_cluster_new(client_.get(), 1)) {
    rd_kafka_mock_topic_create(mock_, "orders", 1, 1);
  }
  ~MockBroker() { rd_kafka_mock_cluster_destroy(mock_); }
  MockBroker(const MockBroker&) = delete;
  MockBroker& operator=(const MockBroker&) = delete;

  KafkaOptions options() const { return {.brokers = rd_kafka_mock_cluster_bootstraps(mock_)}; }
  void AnswerOnce(int16_t api, rd_kafka_resp_err_t error) {
    rd_kafka_mock_push_request_errors(mock_, api, 1, error);
  }

 private:
  Client client_;
  rd_kafka_mock_cluster_t* mock_;
};

// As a broker does for a while after it came back.
TEST(KafkaCluster, SurvivesABrokerThatIsNotTheCoordinatorOfAGroup) {
  MockBroker broker;
  const auto cluster = Cluster::Open(broker.options());
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  for (const auto error :
       {RD_KAFKA_RESP_ERR_NOT_COORDINATOR, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
        RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS}) {
    broker.AnswerOnce(kOffsetFetch, error);
    const auto lag = (*cluster)->Lag("orders", "features.0123");
    EXPECT_TRUE(lag.ok() || lag.status().code() == StatusCode::kUnavailable)
        << rd_kafka_err2name(error) << ": " << lag.status();
  }
  const auto lag = (*cluster)->Lag("orders", "features.0123");
  ASSERT_TRUE(lag.ok()) << lag.status();
  EXPECT_EQ(*lag, 0u);
}

}  // namespace
}  // namespace starling::messaging::kafka
