// The commands of the starling binary. Each gives the process' exit code: 0 done, 1 failed, 2 wrong
// use.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace starling {

// What every command takes.
struct CommonOptions {
  std::filesystem::path data = "data";
  int port = -1;                 // -1: as configured
  std::string config_file;       // "": starling.yaml when it is there
  std::vector<std::string> set;  // "http.port=9000"
  std::string topology;          // a YAML file with a section `topology`; "": none
  std::string process;           // the process of it that this is; "": none
};

int Up(const CommonOptions& common);
int ServeServices(const CommonOptions& common, const std::vector<std::string>& services);
int TopologyShow(const CommonOptions& common);
int TopologyCheck(const CommonOptions& common);
int TopologyPlan(const CommonOptions& common);
int Doctor(const CommonOptions& common);
int DoctorCluster(const CommonOptions& common, bool json);
int ConfigShow(const CommonOptions& common);
int ConfigCheck(const CommonOptions& common);
int ConfigKeys(const CommonOptions& common);
int PrintOpenApi();

struct KeyOptions {
  std::vector<std::string> scopes;
  std::string user;
  std::string label = "command line";
  std::string expires_in;  // "30d"; "": never
};
int KeysCreate(const CommonOptions& common, const KeyOptions& key);
int KeysList(const CommonOptions& common);
int KeysRevoke(const CommonOptions& common, const std::string& id);

struct ImportOptions {
  std::string kind;  // online-retail, completejourney, products, users, events
  std::string file;
  std::string mapping;                         // a YAML file; "": columns by our names
  std::string rejects = "import.rejects.csv";  // where bad rows go
  bool again = false;                          // also what was imported before
};
int Import(const CommonOptions& common, const ImportOptions& options);

// A server to ask instead of the data folder.
struct ServerOptions {
  std::string url;  // "http://127.0.0.1:8080"; "": the data folder
  std::string key;
};
struct TrainOptions {
  std::string algorithm = "auto";
  std::string promote = "when-not-worse";
};
int Train(const CommonOptions& common, const ServerOptions& server, const TrainOptions& options);
struct EvaluateOptions {
  std::string cut;                      // "2010-11-01"; empty: as a training would cut
  std::vector<std::string> algorithms;  // none: all
  bool json = false;
  std::string plot;     // a file.html to write; "": none
  std::string command;  // as it was called
};
int Evaluate(const CommonOptions& common, const EvaluateOptions& options);
struct EvaluateFilesOptions {
  std::string train, valid, test;  // adjacency: a user a line, "user item item ..."
  size_t k = 20;
  std::vector<std::string> models;  // none, or auto: all
  int threads = 0;                  // 0: as many as the machine has
  int memory_mib = 4'096;           // of one fit
  double minutes = 30;              // to choose in
  bool json = false;
  std::string plot;     // a file.html to write; "": none
  std::string command;  // as it was called
};
int EvaluateFiles(const EvaluateFilesOptions& options);
int ModelsList(const CommonOptions& common, const ServerOptions& server);
int ModelsPromote(const CommonOptions& common, const ServerOptions& server,
                  const std::string& version);

int NewService(const std::string& name);

}  // namespace starling
