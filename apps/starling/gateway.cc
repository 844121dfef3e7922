#include "apps/starling/gateway.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "apps/starling/load_config.h"
#include "platform/async/runtime.h"
#include "platform/config/yaml.h"
#include "platform/http/client.h"
#include "platform/http/problem.h"

namespace starling {
namespace {

using config::Node;

struct Options {
  std::string url;  // of the admin port; "": as the configuration says
  std::string key;
  bool json = false;
  std::string upstream, endpoint;
  std::string by_url, by_prefix, by_tag;
  bool all = false;
  bool whole = false;  // drain the gateway, not one endpoint
  std::string grace;
};

StatusOr<std::string> AdminUrl(const CommonOptions& common, const Options& options) {
  if (!options.url.empty()) {
    std::string url = options.url;
    while (url.ends_with('/')) url.pop_back();
    return url;
  }
  Configuration config;
  STARLING_RETURN_IF_ERROR(LoadOwnConfig(common, config));
  const auto admin = config.process.admin.Get();
  const int port = admin->port != 0 ? admin->port : config.process.http.Get()->port + 1;
  return fmt::format(
      "http://{}:{}",
      admin->address.find(':') == std::string::npos ? admin->address : "[" + admin->address + "]",
      port);
}

// The answer's JSON.
StatusOr<std::string> Ask(const CommonOptions& common, const Options& options, http::Verb verb,
                          const std::string& path) {
  if (options.key.empty()) {
    return InvalidArgument(
        "say who asks, by --key or GATEWAY_ADMIN_KEY: a key that `starling keys create --scope "
        "gateway.admin` makes");
  }
  STARLING_ASSIGN_OR_RETURN(const std::string url, AdminUrl(common, options));
  Runtime runtime({.io_threads = 1, .blocking_threads = 1});
  http::Client client(runtime, {});
  http::ClientRequest request{.verb = verb, .url = url + path};
  request.headers.Set("Authorization", "Bearer " + options.key);
  const StatusOr<http::ClientResponse> answer = runtime.Block(client.Send(std::move(request)));
  if (!answer.ok()) return Annotate(answer.status(), url);
  STARLING_RETURN_IF_ERROR(http::StatusFromHttp(answer->status, answer->headers, answer->body));
  return answer->body;
}

// "3 of 4", "a, b": a value as a cell has it.
std::string Shown(const Node* node) {
  if (node == nullptr || node->kind == Node::kNull) return "-";
  if (node->kind != Node::kList) return node->text.empty() ? "-" : node->text;
  std::vector<std::string> items;
  for (const Node& item : node->items) items.push_back(Shown(&item));
  return items.empty() ? "-" : fmt::format("{}", fmt::join(items, ","));
}
std::string Shown(const Node& row, std::string_view key) { return Shown(row.Find(key)); }

using Row = std::vector<std::string>;

void PrintTable(const std::vector<Row>& rows) {
  std::vector<size_t> widths(rows[0].size());
  for (const Row& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const Row& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) line += fmt::format("{:<{}}  ", row[i], widths[i]);
    line.erase(line.find_last_not_of(' ') + 1);
    fmt::print("{}\n", line);
  }
}

const std::vector<Node>& ItemsOf(const Node& document, std::string_view name) {
  static const std::vector<Node> none;
  const Node* node = document.Find(name);
  return node == nullptr ? none : node->items;
}

void PrintRoutes(const Node& document) {
  std::vector<Row> rows{
      {"PATH", "HOSTS", "METHODS", "ACCESS", "TO", "LIMIT", "REQUESTS", "ERRORS", "SHED"}};
  for (const Node& route : ItemsOf(document, "routes")) {
    std::string to, limit;
    for (const Node& one : ItemsOf(route, "to")) {
      to += fmt::format("{}{}:{}", to.empty() ? "" : ",", Shown(one, "upstream"),
                        Shown(one, "weight"));
    }
    if (const Node* rate = route.Find("rate_limit"); rate->kind == Node::kMap) {
      limit = fmt::format("{}/s per {}", Shown(*rate, "requests_per_second"), Shown(*rate, "per"));
    }
    if (const std::string most = Shown(route, "max_concurrent"); most != "0") {
      limit += fmt::format("{}{} of {} at once", limit.empty() ? "" : ", ", Shown(route, "running"),
                           most);
    }
    rows.push_back({Shown(route, "path"), Shown(route, "hosts"), Shown(route, "methods"),
                    Shown(route, "access"), to, limit.empty() ? "-" : limit,
                    Shown(route, "requests"), Shown(route, "errors"), Shown(route, "shed")});
  }
  PrintTable(rows);
}

void PrintUpstreams(const Node& document) {
  std::vector<Row> rows{
      {"UPSTREAM", "ENDPOINT", "STATE", "IN FLIGHT", "IDLE", "LATENCY", "EJECTED FOR"}};
  for (const Node& upstream : ItemsOf(document, "upstreams")) {
    for (const Node& endpoint : ItemsOf(upstream, "endpoints")) {
      const bool ejected = Shown(endpoint, "ejected") == "true";
      rows.push_back({Shown(upstream, "name"), Shown(endpoint, "address"), Shown(endpoint, "state"),
                      Shown(endpoint, "in_flight"), Shown(endpoint, "idle"),
                      Shown(endpoint, "latency_ms") + " ms",
                      ejected ? Shown(endpoint, "ejected_for_ms") + " ms" : "-"});
    }
  }
  PrintTable(rows);
}

void PrintCertificates(const Node& document) {
  std::vector<Row> rows{{"NAMES", "ISSUER", "NOT AFTER", "DAYS LEFT", "FILE"}};
  for (const Node& one : ItemsOf(document, "certificates")) {
    rows.push_back({Shown(one, "names"), Shown(one, "issuer"), Shown(one, "not_after"),
                    Shown(one, "days_left"), Shown(one, "file")});
  }
  PrintTable(rows);
}

void PrintLimits(const Node& document) {
  std::vector<Row> rows{{"POLICY", "PER", "A SECOND", "AT ONCE"}};
  for (const Node& one : ItemsOf(document, "policies")) {
    rows.push_back({Shown(one, "policy"), Shown(one, "per"), Shown(one, "requests_per_second"),
                    Shown(one, "burst")});
  }
  PrintTable(rows);
  std::vector<Row> nearest{{"NEAREST", "POLICY", "LEFT", "OF", "REFUSED"}};
  for (const Node& one : ItemsOf(document, "nearest")) {
    nearest.push_back({Shown(one, "caller"), Shown(one, "policy"), Shown(one, "remaining"),
                       Shown(one, "burst"), Shown(one, "refused")});
  }
  fmt::print("\n");
  PrintTable(nearest);
}

void PrintPairs(const Node& document) {
  std::vector<Row> rows{{"WHAT", "VALUE"}};
  for (const config::Member& member : document.members)
    rows.push_back({member.key, Shown(&member.value)});
  PrintTable(rows);
}

int Run(const CommonOptions& common, const Options& options, http::Verb verb,
        const std::string& path, void (*print)(const Node&)) {
  const StatusOr<std::string> answer = Ask(common, options, verb, path);
  if (!answer.ok()) return Fail(answer.status());
  if (options.json) {
    fmt::print("{}\n", *answer);
    return 0;
  }
  config::Problems problems;
  const std::optional<Node> document = config::ParseYaml(*answer, "the answer", problems);
  if (!document || document->kind != Node::kMap)
    return Fail(Unavailable("the answer is none of a gateway: {}", answer->substr(0, 200)));
  print(*document);
  return 0;
}

int Purge(const CommonOptions& common, const Options& options) {
  std::vector<std::string> what;
  const auto add = [&](std::string_view name, const std::string& value) {
    if (!value.empty()) what.push_back(fmt::format("{}={}", name, http::PercentEncode(value)));
  };
  add("url", options.by_url);
  add("prefix", options.by_prefix);
  add("tag", options.by_tag);
  add("all", options.all ? "true" : "");
  if (what.size() != 1)
    return Fail(InvalidArgument("say what: one of --url, --prefix, --tag and --all"));
  return Run(common, options, http::Verb::kPost, "/gateway/cache:purge?" + what[0], PrintPairs);
}

int Drain(const CommonOptions& common, const Options& options, std::string_view verb) {
  if (options.whole) {
    if (!options.upstream.empty())
      return Fail(InvalidArgument("say one of --gateway and UPSTREAM ENDPOINT"));
    const std::string grace =
        options.grace.empty() ? "" : "?grace=" + http::PercentEncode(options.grace);
    return Run(common, options, http::Verb::kPost, "/gateway:drain" + grace, PrintPairs);
  }
  if (options.upstream.empty() || options.endpoint.empty()) {
    return Fail(InvalidArgument(
        "say which: UPSTREAM ENDPOINT, as `starling gateway upstreams` lists them{}",
        verb == "drain" ? ", or --gateway for all of this gateway" : ""));
  }
  return Run(
      common, options, http::Verb::kPost,
      fmt::format("/gateway/upstreams/{}/endpoints/{}:{}", http::PercentEncode(options.upstream),
                  http::PercentEncode(options.endpoint), verb),
      PrintUpstreams);
}

}  // namespace

void AddGatewayCommands(CLI::App& app, CommonOptions& common,
                        void (*add_common)(CLI::App&, CommonOptions&), int& exit_code) {
  // Lives until the process ends, as the parser's own objects do.
  const auto options = std::make_shared<Options>();
  CLI::App* gateway = app.add_subcommand(
      "gateway",
      "A gateway that runs: its routes, upstreams, certificates, limits and cache\n\n"
      "  starling keys create --scope gateway.admin       a key for it, once\n"
      "  export GATEWAY_ADMIN_KEY=sk_...\n"
      "  starling gateway upstreams                       which servers answer, and how\n"
      "  starling gateway drain search 10.0.0.7:9001      nothing new goes there; wait for IN\n"
      "                                                   FLIGHT 0, then restart that server\n"
      "  starling gateway undrain search 10.0.0.7:9001\n"
      "  starling gateway purge --tag product-7           forget what is kept of it\n"
      "  starling gateway drain --gateway --grace 5s      before this gateway is restarted");
  gateway->require_subcommand(1);
  const auto add = [&](const char* name, const char* help) {
    CLI::App* command = gateway->add_subcommand(name, help);
    command->add_option("--server", options->url,
                        "The admin port, http://HOST:PORT; when absent, that of the configuration");
    command
        ->add_option("--key", options->key,
                     "An API key with the scope gateway.admin; rather in GATEWAY_ADMIN_KEY, where "
                     "no list of processes shows it")
        ->envname("GATEWAY_ADMIN_KEY");
    command->add_flag("--json", options->json, "Print the answer's JSON instead of a table");
    add_common(*command, common);
    return command;
  };
  const auto show = [&](const char* name, const char* help, void (*print)(const Node&)) {
    const std::string path = fmt::format("/gateway/{}", name);
    add(name, help)->callback([&common, &exit_code, options, path, print] {
      exit_code = Run(common, *options, http::Verb::kGet, path, print);
    });
  };
  show("routes", "Print each route: who may ask, where it goes, its limits, what was answered",
       PrintRoutes);
  show("upstreams",
       "Print each server: serving, drained, unhealthy (by its health check) or ejected (for its "
       "failures); requests in flight, idle connections, latency",
       PrintUpstreams);
  show("certificates", "Print what is shown over TLS, and the days that are left",
       PrintCertificates);
  show("limits", "Print the limits, and the callers that are nearest to one", PrintLimits);
  show("cache", "Print how much is kept for others, and how often it was found", PrintPairs);

  CLI::App* purge =
      add("purge",
          "Forget answers that are kept for others: of one URL, of all that begin so, "
          "of all with a tag, or all");
  purge->add_option("--url", options->by_url, "http://shop.example/v1/products?page=2, exactly");
  purge->add_option("--prefix", options->by_prefix, "All that begin so: http://shop.example/v1/");
  purge->add_option("--tag", options->by_tag, "All whose Surrogate-Key or Cache-Tag has this word");
  purge->add_flag("--all", options->all, "All there is");
  purge->callback([&common, &exit_code, options] { exit_code = Purge(common, *options); });

  for (const char* name : {"drain", "undrain"}) {
    const bool drains = std::string_view(name) == "drain";
    CLI::App* command =
        add(name, drains ? "Send nothing new to an endpoint, or with --gateway take no connection "
                           "any more and be not ready, until a restart"
                         : "Send requests to an endpoint again");
    command->add_option("UPSTREAM", options->upstream, "Its name in gateway.upstreams");
    command->add_option("ENDPOINT", options->endpoint, "Its address: 10.0.0.7:9001");
    if (drains) {
      command->add_flag("--gateway", options->whole, "The whole gateway");
      command->add_option("--grace", options->grace,
                          "With --gateway: how long it still takes connections once /readyz says "
                          "that it is not ready: 5s");
    }
    command->callback(
        [&common, &exit_code, options, name] { exit_code = Drain(common, *options, name); });
  }
}

}  // namespace starling
