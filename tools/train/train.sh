#!/bin/sh
# Trains the tiny pack from nothing and exports it to packs/tiny. Every stage resumes from its checkpoint in WORK.
#   WORK=folder  PYTHON=interpreter  VAE_MINUTES, PAINTER_MINUTES, DECODER_MINUTES, PLANNER_MINUTES: wall-clock budgets
set -eu
cd "$(dirname "$0")"
WORK=${WORK:-work}
PYTHON=${PYTHON:-/usr/bin/python3}
"$PYTHON" data.py --work "$WORK" --clips "${CLIPS:-2400}" --images "${IMAGES:-8000}"
"$PYTHON" train_vae.py --work "$WORK" --minutes "${VAE_MINUTES:-60}"
"$PYTHON" encode.py --work "$WORK" --what images
"$PYTHON" encode.py --work "$WORK" --what clips
"$PYTHON" train_painter.py --work "$WORK" --minutes "${PAINTER_MINUTES:-240}"
"$PYTHON" train_vae.py --work "$WORK" --part decoder --minutes "${DECODER_MINUTES:-40}"
"$PYTHON" train_planner.py --work "$WORK" --minutes "${PLANNER_MINUTES:-15}"
"$PYTHON" export.py --work "$WORK"
"$PYTHON" draw.py --out "$WORK/contact.png" --references
# With the built programs: "$PYTHON" evaluate.py --pack ../../packs/tiny --shotline ../../build/release/client/shotline --work "$WORK"
