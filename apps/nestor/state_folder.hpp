// The folder where a node keeps what outlives it: the tokens, the first token's text for the command line, a lock so
// that no two nodes share it. Everything in it is its owner's alone. Knows no node.
#pragma once

#include <nestor/api/token_book.hpp>

#include <string>

namespace nestor::cli {

/// The configured one, else $XDG_STATE_HOME/nestor, else ~/.local/state/nestor. Empty: there is no home either.
std::string state_folder_of(const std::string& configured);

class state_folder {
public:
  /// Makes it (0700) where it is missing and locks it until this goes. Throws std::runtime_error, naming what failed.
  explicit state_folder(std::string path);
  ~state_folder();
  state_folder(const state_folder&) = delete;
  state_folder& operator=(const state_folder&) = delete;

  /// The tokens that are kept; when there are none, a first admin's, whose text goes to the file `token`.
  /// Throws std::runtime_error when they cannot be read or kept.
  api::token_book open_tokens();
  bool keep_tokens(const api::token_book& book) const;
  /// The file `url`: where the node answers, for scripts.
  void announce(const std::string& url) const;
  [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }

private:
  std::string path_;
  int lock_ = -1;
};

} // namespace nestor::cli
