// starling: every service of the platform in one binary. `starling --help` teaches it.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "apps/starling/commands.h"
#include "apps/starling/gateway.h"
#include "apps/starling/version.h"
#include "learning/selection/selection.h"

namespace {

void AddCommon(CLI::App& command, starling::CommonOptions& common) {
  command.add_option("--data", common.data, "Folder that holds everything Starling keeps")
      ->capture_default_str();
  command
      .add_option("--port", common.port,
                  "TCP port of the public API; admin and metrics on the next one")
      ->check(CLI::Range(0, 65533));
  command.add_option("--config", common.config_file,
                     "YAML file; starling.yaml is read when it is there");
  command.add_option("--topology", common.topology,
                     "YAML file that says which process runs what, and where; over --config");
  command.add_option("--set", common.set, "KEY=VALUE, over file and environment; may be repeated");
}

void AddServer(CLI::App& command, starling::ServerOptions& server) {
  CLI::Option* url = command.add_option(
      "--server", server.url, "Ask this server, http://HOST:PORT, instead of the data folder");
  command
      .add_option("--key", server.key, "API key for --server, with models.read and models.write")
      ->needs(url);
}

// The command as it was typed, for a report. Of --set only the training's settings are shown:
// others may hold secrets.
std::string CommandOf(int argc, char** argv) {
  std::string command = "starling";
  bool set = false;
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    const size_t begin = word.starts_with("--set=") ? 6 : 0;
    const size_t value = word.find('=', begin);
    if ((set || begin > 0) && word.compare(begin, 9, "training.") != 0 &&
        value != std::string::npos) {
      word = word.substr(0, value) + "=...";
    }
    set = word == "--set";
    const bool plain = word.find_first_of(" \t\n\"'\\$`&|;<>()*?#") == std::string::npos;
    command += plain && !word.empty() ? " " + word : " '" + word + "'";
  }
  return command;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Starling: recommendations, search and more for your catalogue, from one binary.\n\n"
      "  starling up                        everything in one process, API on "
      "http://localhost:8080\n"
      "  starling keys create --scope catalog.write,catalog.read\n"
      "  starling doctor                    what is wrong, and what to do"};
  app.set_version_flag("--version", starling::kVersion);
  app.require_subcommand(1);
  starling::CommonOptions common;
  starling::KeyOptions key;
  starling::ServerOptions server;
  starling::TrainOptions training;
  starling::EvaluateOptions evaluation;
  starling::EvaluateFilesOptions evaluation_files;
  starling::ImportOptions import_options;
  std::vector<std::string> names;
  std::string name, id;
  int exit_code = 0;

  CLI::App* up = app.add_subcommand("up", "Run every service in this process");
  AddCommon(*up, common);
  up->callback([&] { exit_code = starling::Up(common); });

  CLI::App* serve =
      app.add_subcommand("serve", "Run the named services only, with gRPC for other processes");
  serve->add_option("NAME", names,
                    "Services: profile, catalog, ingestion, features, training, inference, "
                    "recommendation, analytics");
  serve->add_option("--process", common.process,
                    "Be this process of the topology, instead of NAMEs");
  AddCommon(*serve, common);
  serve->callback([&] { exit_code = starling::ServeServices(common, names); });

  CLI::App* topology = app.add_subcommand(
      "topology",
      "Which process runs what: show, check, plan. docs/topology.md says how to write one");
  topology->require_subcommand(1);
  CLI::App* topology_show =
      topology->add_subcommand("show", "Print the processes, what each runs, and where");
  AddCommon(*topology_show, common);
  topology_show->callback([&] { exit_code = starling::TopologyShow(common); });
  CLI::App* topology_check =
      topology->add_subcommand("check", "Say whether it can start, and if not, why");
  AddCommon(*topology_check, common);
  topology_check->callback([&] { exit_code = starling::TopologyCheck(common); });
  CLI::App* topology_plan = topology->add_subcommand(
      "plan", "Print the commands that start it, in an order that waits for nobody");
  AddCommon(*topology_plan, common);
  topology_plan->callback([&] { exit_code = starling::TopologyPlan(common); });

  CLI::App* doctor =
      app.add_subcommand("doctor",
                         "Check this machine and data folder: configuration, disk, ports, clock, "
                         "engines, model; or, with --cluster, what the processes of a topology "
                         "run with and who differs. Exit code 1 when something is to mend");
  bool cluster = false;
  bool as_json = false;
  CLI::Option* of_cluster = doctor->add_flag(
      "--cluster", cluster,
      "Ask every process that --topology, or discovery, knows: version, configuration, contracts, "
      "models");
  doctor->add_flag("--json", as_json, "Print JSON instead of a table")->needs(of_cluster);
  AddCommon(*doctor, common);
  doctor->callback([&] {
    exit_code = cluster ? starling::DoctorCluster(common, as_json) : starling::Doctor(common);
  });

  CLI::App* config = app.add_subcommand("config", "The configuration: show, check, keys");
  config->require_subcommand(1);
  CLI::App* show = config->add_subcommand(
      "show", "Print the effective configuration and where each value comes from");
  AddCommon(*show, common);
  show->callback([&] { exit_code = starling::ConfigShow(common); });
  CLI::App* check = config->add_subcommand("check", "Say whether the configuration is right");
  AddCommon(*check, common);
  check->callback([&] { exit_code = starling::ConfigCheck(common); });
  CLI::App* all_keys =
      config->add_subcommand("keys", "Print every key, its type, default and meaning, as Markdown");
  all_keys->callback([&] { exit_code = starling::ConfigKeys(common); });

  app.add_subcommand("openapi", "Print the OpenAPI 3.1 document of the public API")->callback([&] {
    exit_code = starling::PrintOpenApi();
  });

  CLI::App* keys = app.add_subcommand("keys", "API keys: create, list, revoke");
  keys->require_subcommand(1);
  CLI::App* create = keys->add_subcommand("create", "Make an API key and print it, once");
  create
      ->add_option("--scope", key.scopes,
                   "What it may do: catalog.read, catalog.write, users.read, users.write, "
                   "events.write, features.read, models.read, models.write, "
                   "recommendations.read, analytics.read, gateway.admin, admin")
      ->required()
      ->delimiter(',');
  create->add_option("--user", key.user, "Make it for this user: it sees that user's own data");
  create->add_option("--label", key.label, "What to call it in lists")->capture_default_str();
  create->add_option("--expires-in", key.expires_in, "When it ends: 30d, 12h; never when absent");
  AddCommon(*create, common);
  create->callback([&] { exit_code = starling::KeysCreate(common, key); });
  CLI::App* list =
      keys->add_subcommand("list", "Print the keys there are; not the keys themselves");
  AddCommon(*list, common);
  list->callback([&] { exit_code = starling::KeysList(common); });
  CLI::App* revoke = keys->add_subcommand("revoke", "End a key");
  revoke->add_option("ID", id, "From `starling keys list`")->required();
  AddCommon(*revoke, common);
  revoke->callback([&] { exit_code = starling::KeysRevoke(common, id); });

  CLI::App* import = app.add_subcommand(
      "import", "Bring products, users and events from files into the data folder");
  import
      ->add_option("KIND", import_options.kind,
                   "What the file is: products, users, events (CSV, JSON Lines or Parquet, also "
                   ".gz and .zst), online-retail (UCI), completejourney (wheel or folder)")
      ->required()
      ->check(CLI::IsMember({"products", "users", "events", "online-retail", "completejourney"}));
  import->add_option("FILE", import_options.file, "File, wheel or folder")->required();
  import->add_option("--mapping", import_options.mapping,
                     "YAML file that says which columns are which fields");
  import
      ->add_option("--rejects", import_options.rejects,
                   "Where rows go that cannot be used, with line, column, value and reason")
      ->capture_default_str();
  import->add_flag("--again", import_options.again, "Also when this file was imported before");
  AddCommon(*import, common);
  import->callback([&] { exit_code = starling::Import(common, import_options); });

  CLI::App* train = app.add_subcommand(
      "train", "Train a version of the recommender on what users did, measure it, let it serve");
  train
      ->add_option("--algorithm", training.algorithm,
                   "auto (the best), popularity, item_knn, ease, als, repeat, transitions, "
                   "next_basket, sampled_mf, blend, two_stage")
      ->capture_default_str();
  train->add_option("--promote", training.promote, "always, never, when-not-worse")
      ->capture_default_str();
  AddServer(*train, server);
  AddCommon(*train, common);
  train->callback([&] { exit_code = starling::Train(common, server, training); });

  CLI::App* evaluate = app.add_subcommand(
      "evaluate",
      "Train every model as if it were a day in the past, and measure it on what came after.\n\n"
      "  starling evaluate --cut 2010-11-01 --plot report.html\n"
      "  starling evaluate --format adjacency --train train.txt --valid valid.txt --test test.txt "
      "--json\n\n"
      "All users and all items are measured. The table tells how good each ranking is, with "
      "intervals;\nits difference to the chosen one and how often chance does as much (p); how "
      "new, varied and\npopular what it shows is; seconds and memory. docs/models.md says what "
      "each figure is.");
  evaluate->add_option("--cut", evaluation.cut,
                       "That day, 2010-11-01, in UTC; when absent, the newest part is held out, as "
                       "training.holdout says");
  evaluate->add_option(
      "--algorithm", evaluation.algorithms,
      "Only these: popularity, item_knn, ease, als, repeat, transitions, next_basket, sampled_mf, "
      "blend, two_stage, auto");
  evaluate->add_flag("--json", evaluation.json, "Print JSON instead of a table");
  evaluate->add_option("--plot", evaluation.plot,
                       "Also write a page of charts and tables, FILE.html, which needs no network");
  AddCommon(*evaluate, common);
  // Of files that are divided already, instead of what is imported.
  std::string format;
  CLI::Option* files =
      evaluate->add_option("--format", format,
                           "adjacency: measure on --train, --valid and --test instead, files of "
                           "lines 'user item item ...' (also .gz and .zst)");
  files->check(CLI::IsMember({"adjacency"}))->group("Files");
  evaluate->add_option("--train", evaluation_files.train, "What models are fitted to")
      ->needs(files)
      ->group("Files");
  evaluate
      ->add_option("--valid", evaluation_files.valid,
                   "What they are chosen by; a tenth of --train when absent")
      ->needs(files)
      ->group("Files");
  evaluate
      ->add_option("--test", evaluation_files.test,
                   "What they are measured on, fitted to the other two; --valid when absent")
      ->needs(files)
      ->group("Files");
  evaluate->add_option("--k", evaluation_files.k, "How many places are ranked")
      ->check(CLI::Range(1, 1'000))
      ->capture_default_str()
      ->needs(files)
      ->group("Files");
  evaluate
      ->add_option("--model", evaluation_files.models,
                   fmt::format("auto (all but sampled_mf; also when absent), {}",
                               fmt::join(starling::learning::kSelectable, ", ")))
      ->needs(files)
      ->group("Files");
  evaluate->add_option("--threads", evaluation_files.threads, "As many as the machine has when 0")
      ->check(CLI::Range(0, 1'024))
      ->needs(files)
      ->group("Files");
  evaluate->add_option("--memory", evaluation_files.memory_mib, "MiB that one fit may take")
      ->check(CLI::PositiveNumber)
      ->capture_default_str()
      ->needs(files)
      ->group("Files");
  evaluate->add_option("--minutes", evaluation_files.minutes, "How long settings are tried")
      ->check(CLI::PositiveNumber)
      ->capture_default_str()
      ->needs(files)
      ->group("Files");
  evaluate->callback([&] {
    evaluation.command = CommandOf(argc, argv);
    if (format.empty()) {
      exit_code = starling::Evaluate(common, evaluation);
      return;
    }
    if (evaluation_files.train.empty()) throw CLI::RequiredError("--train");
    evaluation_files.json = evaluation.json;
    evaluation_files.plot = evaluation.plot;
    evaluation_files.command = evaluation.command;
    exit_code = starling::EvaluateFiles(evaluation_files);
  });

  CLI::App* models = app.add_subcommand("models", "Trained versions: list, promote");
  models->require_subcommand(1);
  CLI::App* versions =
      models->add_subcommand("list", "Print the versions there are, and which one serves");
  AddServer(*versions, server);
  AddCommon(*versions, common);
  versions->callback([&] { exit_code = starling::ModelsList(common, server); });
  CLI::App* promote =
      models->add_subcommand("promote", "Let a version serve, also an older one (rollback)");
  promote->add_option("VERSION", id, "From `starling models list`")->required();
  AddServer(*promote, server);
  AddCommon(*promote, common);
  promote->callback([&] { exit_code = starling::ModelsPromote(common, server, id); });

  starling::AddGatewayCommands(app, common, AddCommon, exit_code);

  CLI::App* make = app.add_subcommand("new", "Begin something new in a checkout of Starling");
  make->require_subcommand(1);
  CLI::App* service =
      make->add_subcommand("service", "Write a contract, a service and a test that build");
  service->add_option("NAME", name, "A lower-case word: greeting")->required();
  service->callback([&] { exit_code = starling::NewService(name); });

  CLI11_PARSE(app, argc, argv);
  return exit_code;
}
