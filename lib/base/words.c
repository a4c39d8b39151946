/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "base/words.h"

const char word_is[] = " ";
const char word_pool[] = "--pool";
const char word_pv[] = "--pv";
const char word_seqno[] = "--seqno";
const char word_force[] = "--force";
const char word_origin_raw[] = "--origin-format raw";
