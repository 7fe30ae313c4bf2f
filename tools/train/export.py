"""export - writes the trained models as a pack in the published layout.

A pack folder appears whole or not at all: it is written beside its place and then renamed.
"""
import argparse
import json
import os
import shutil
import sys
import torch
import bpe
import encode
import grammar
import qwen
import tensors
import train_painter
import train_planner
import umt5
import unigram
import vace
import vae
import world

HERE = os.path.dirname(os.path.abspath(__file__))
VERSION = "0.33.0.dev0"
DEFAULTS = {"name": "tiny", "width": world.WIDTH, "height": world.HEIGHT, "fps": world.FPS, "steps": 8, "guidance_scale": 1.0,
            "handoff_step": 5, "window": 6, "overlap": 3, "longest_shot": 9, "references": 1,
            "reference_suffix": world.clip.REFERENCE_SUFFIX, "max_sequence_length": unigram.LENGTH, "negative_prompt": ""}
FLOW_SHIFT = 2.0


def json_write(path, value):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        json.dump(value, f, indent=2, ensure_ascii=False)
        f.write("\n")


def pipeline_write(to):
    json_write(f"{to}/model_index.json", {
        "_class_name": "WanVACEPipeline", "_diffusers_version": VERSION, "scheduler": ["diffusers", "UniPCMultistepScheduler"],
        "text_encoder": ["transformers", "UMT5EncoderModel"], "tokenizer": ["transformers", "T5TokenizerFast"],
        "transformer": ["diffusers", "WanVACETransformer3DModel"], "vae": ["diffusers", "AutoencoderKLWan"]})
    json_write(f"{to}/scheduler/scheduler_config.json", {
        "_class_name": "UniPCMultistepScheduler", "_diffusers_version": VERSION, "beta_end": 0.02, "beta_schedule": "linear", "beta_start": 0.0001,
        "disable_corrector": [], "dynamic_thresholding_ratio": 0.995, "final_sigmas_type": "zero", "flow_shift": FLOW_SHIFT, "lower_order_final": True,
        "num_train_timesteps": 1000, "predict_x0": True, "prediction_type": "flow_prediction", "rescale_betas_zero_snr": False, "sample_max_value": 1.0,
        "solver_order": 2, "solver_p": None, "solver_type": "bh2", "steps_offset": 0, "thresholding": False, "timestep_spacing": "linspace",
        "trained_betas": None, "use_beta_sigmas": False, "use_exponential_sigmas": False, "use_flow_sigmas": True, "use_karras_sigmas": False})


def vae_write(to, work):
    state = torch.load(f"{work}/vae_final.pt", map_location="cpu")
    rounded = lambda v: [round(float(x), 6) for x in v]
    json_write(f"{to}/vae/config.json", {
        "_class_name": "AutoencoderKLWan", "_diffusers_version": VERSION, "attn_scales": [], **vae.CONFIG, "dropout": 0.0,
        "latents_mean": rounded(state["mean"]), "latents_std": rounded(state["std"])})
    tensors.tensors_write(f"{to}/vae/diffusion_pytorch_model.safetensors", tensors.half(state["model"]))


def tokenizer_write(to):
    os.makedirs(f"{to}/tokenizer")
    with open(f"{to}/tokenizer/tokenizer.json", "w") as f:
        json.dump(unigram.tokenizer_json(), f, ensure_ascii=False, indent=1)
        f.write("\n")
    json_write(f"{to}/tokenizer/tokenizer_config.json", {"clean_up_tokenization_spaces": False, "eos_token": "</s>", "extra_ids": 0,
               "model_max_length": unigram.LENGTH, "pad_token": "<pad>", "tokenizer_class": "T5Tokenizer", "unk_token": "<unk>"})
    json_write(f"{to}/tokenizer/special_tokens_map.json", {"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"})


def painter_write(to, work, untrained):
    painter = vace.Painter(unigram.vocab_size())
    weights = average_of(f"{work}/{train_painter.CHECKPOINT}", untrained)
    if weights:
        painter.load_state_dict(weights)
    c = umt5.CONFIG
    json_write(f"{to}/text_encoder/config.json", {
        "architectures": ["UMT5EncoderModel"], "classifier_dropout": 0.0, "d_ff": c["d_ff"], "d_kv": c["d_kv"], "d_model": c["d_model"],
        "decoder_start_token_id": 0, "dense_act_fn": "gelu_new", "dropout_rate": 0.1, "eos_token_id": unigram.EOS, "feed_forward_proj": "gated-gelu",
        "initializer_factor": 1.0, "is_encoder_decoder": True, "is_gated_act": True, "layer_norm_epsilon": 1e-06, "model_type": "umt5",
        "num_decoder_layers": c["num_layers"], "num_heads": c["num_heads"], "num_layers": c["num_layers"], "output_past": True, "pad_token_id": unigram.PAD,
        "relative_attention_max_distance": umt5.MAX_DISTANCE, "relative_attention_num_buckets": umt5.BUCKETS, "scalable_attention": True,
        "tie_word_embeddings": False, "tokenizer_class": "T5Tokenizer", "torch_dtype": "float16", "transformers_version": "4.49.0", "use_cache": True,
        "vocab_size": unigram.vocab_size()})
    tensors.tensors_write(f"{to}/text_encoder/model.safetensors", tensors.half(painter.text.state_dict()))
    c = vace.CONFIG
    json_write(f"{to}/transformer/config.json", {
        "_class_name": "WanVACETransformer3DModel", "_diffusers_version": VERSION, "added_kv_proj_dim": None, "attention_head_dim": c["attention_head_dim"],
        "cross_attn_norm": True, "eps": 1e-06, "ffn_dim": c["ffn_dim"], "freq_dim": c["freq_dim"], "image_dim": None, "in_channels": c["in_channels"],
        "num_attention_heads": c["num_attention_heads"], "num_layers": c["num_layers"], "out_channels": c["in_channels"], "patch_size": [1, 2, 2],
        "pos_embed_seq_len": None, "qk_norm": "rms_norm_across_heads", "rope_max_seq_len": 1024, "text_dim": c["text_dim"],
        "vace_in_channels": c["vace_in_channels"], "vace_layers": c["vace_layers"]})
    tensors.tensors_write(f"{to}/transformer/diffusion_pytorch_model.safetensors", tensors.half(painter.transformer.state_dict()))


def planner_write(to, work, untrained):
    g = grammar.grammar_json()
    tokens = train_planner.tokenizer_make(work, g)
    model = qwen.Qwen(tokens.size, qwen.CONFIG)
    weights = average_of(f"{work}/{train_planner.CHECKPOINT}", untrained)
    if weights:
        model.load_state_dict(weights)
    end, start = tokens.special["<|im_end|>"], tokens.special["<|endoftext|>"]
    json_write(f"{to}/planner/config.json", {
        "architectures": ["Qwen3ForCausalLM"], "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": start, "eos_token_id": end,
        **qwen.CONFIG, "hidden_act": "silu", "initializer_range": 0.02, "max_position_embeddings": 4096, "max_window_layers": qwen.CONFIG["num_hidden_layers"],
        "model_type": "qwen3", "rms_norm_eps": 1e-06, "rope_scaling": None, "sliding_window": None, "tie_word_embeddings": True, "torch_dtype": "float16",
        "transformers_version": "4.51.0", "use_cache": True, "use_sliding_window": False, "vocab_size": tokens.size})
    json_write(f"{to}/planner/generation_config.json", {"bos_token_id": start, "do_sample": False, "eos_token_id": [end, start], "pad_token_id": start,
                                                        "transformers_version": "4.51.0"})
    with open(f"{to}/planner/tokenizer.json", "w") as f:
        json.dump(tokens.tokenizer_json(), f, ensure_ascii=False, indent=1)
        f.write("\n")
    json_write(f"{to}/planner/tokenizer_config.json", {"add_bos_token": False, "add_prefix_space": False, "clean_up_tokenization_spaces": False,
               "eos_token": bpe.SPECIAL[2], "model_max_length": 4096, "pad_token": bpe.SPECIAL[0], "tokenizer_class": "Qwen2Tokenizer", "unk_token": None})
    json_write(f"{to}/planner/grammar.json", g)
    with open(f"{to}/planner/system.txt", "w") as f:
        f.write(train_planner.SYSTEM)
    tensors.tensors_write(f"{to}/planner/model.safetensors", tensors.half(model.state_dict()))


def average_of(path, untrained):
    """The averaged weights of a checkpoint; None when it is missing and that is allowed."""
    if not os.path.exists(path):
        if untrained:
            print(f"export: {path} is missing, random weights instead", file=sys.stderr)
            return None
        raise SystemExit(f"export: {path}: no such checkpoint")
    return torch.load(path, map_location="cpu")["ema"]


def pack_write(to, work, untrained=False):
    fresh = f"{to}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    pipeline_write(fresh)
    vae_write(fresh, work)
    tokenizer_write(fresh)
    painter_write(fresh, work, untrained)
    planner_write(fresh, work, untrained)
    json_write(f"{fresh}/shotline.json", DEFAULTS)
    shutil.copy(f"{HERE}/card.md", f"{fresh}/README.md")
    shutil.copy(f"{HERE}/weights-license.txt", f"{fresh}/LICENSE")
    shutil.rmtree(f"{to}.old", ignore_errors=True)
    if os.path.exists(to):
        os.rename(to, f"{to}.old")
    os.rename(fresh, to)
    shutil.rmtree(f"{to}.old", ignore_errors=True)


def part_write(to, work):
    """The planner alone, into a pack that is there."""
    fresh = f"{to}/planner.new"
    shutil.rmtree(fresh, ignore_errors=True)
    planner_write(fresh, work, False)
    shutil.rmtree(f"{to}/planner")
    os.rename(f"{fresh}/planner", f"{to}/planner")
    os.rmdir(fresh)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--work", default="work")
    p.add_argument("--to", default=os.path.join(HERE, "..", "..", "packs", "tiny"))
    p.add_argument("--untrained", action="store_true", help="random weights where a checkpoint is missing")
    p.add_argument("--planner", action="store_true", help="only the planner, into a pack that is there")
    a = p.parse_args()
    if a.planner:
        return part_write(os.path.normpath(a.to), a.work)
    if a.untrained and not os.path.exists(f"{a.work}/vae_final.pt"):
        encode.finish(a.work, torch.device("cpu"))
    pack_write(os.path.normpath(a.to), a.work, a.untrained)


if __name__ == "__main__":
    sys.exit(main())
