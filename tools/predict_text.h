// What a trained model of film reviews says of one text: positive or negative, and how likely that is.
#pragma once

#include <string>

#include "src/lean_train.h"
#include "tools/exit_code.h"

namespace lt::tool {

struct TextOptions {
  std::string data;        // a file, or "-" for stdin
  std::string vocabulary;  // the imdb-words.txt of `data prepare`; empty: beside the checkpoint, or the reviews that a
                           // training would find
  std::string checkpoint, vocabulary_hash;  // of the words it was trained on; empty: it does not say
  bool synthetic = false;                   // it was trained on the built-in reviews
  bool json = false;
};

// Whether a model of this kind of data is asked about a text there, and not about a data set.
bool takes_text(const std::string& kind, const std::string& data);

// One line on stdout. `session` has the trained weights. What goes wrong is said.
ExitCode predict_text(lt_session* session, const lt_plan_info& info, const TextOptions& options);

}  // namespace lt::tool
