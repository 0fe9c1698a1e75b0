"""The picture codec: its scale, its noise, and files in the older and the newer naming."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers.models.autoencoders import AutoencoderKL
from golden_recipe import fill_weights, make_input
from safetensors.torch import save_file

from lipsync.engines.latentsync.vae import (
    VAEParams,
    build_vae,
    decode_faces,
    encode_faces,
    load_vae,
    rename_attention,
)
from lipsync.errors import InputError

TINY = VAEParams(widths=(32, 64), layers=1, scale=0.5, shift=0.25)
OLD_NAMES = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


@pytest.fixture(scope="module")
def vae() -> AutoencoderKL:
    made = build_vae(TINY)
    fill_weights(made)
    return made.eval()


@torch.inference_mode()
def test_latents_are_shifted_and_scaled_and_noise_chooses_among_them(vae: AutoencoderKL) -> None:
    faces = make_input("faces", (2, 3, 16, 24), span=(-1, 1))
    noise = make_input("noise", (2, 4, 8, 12))
    possible = vae.encode(faces).latent_dist
    likeliest = encode_faces(vae, faces, torch.zeros_like(noise))
    torch.testing.assert_close(likeliest, (possible.mean - 0.25) * 0.5)
    moved = encode_faces(vae, faces, noise) - likeliest
    torch.testing.assert_close(moved, 0.5 * possible.std * noise, atol=1e-5, rtol=1e-4)


@torch.inference_mode()
def test_decoding_takes_scale_and_shift_back(vae: AutoencoderKL) -> None:
    latents = make_input("latents", (1, 4, 5, 6))
    decoded = decode_faces(vae, (latents - 0.25) * 0.5)
    assert decoded.shape == (1, 3, 10, 12)
    torch.testing.assert_close(decoded, vae.decode(latents).sample, atol=1e-5, rtol=1e-4)


def test_the_published_codec_has_its_published_size() -> None:
    with torch.device("meta"):
        whole = build_vae(VAEParams())
    assert sum(weight.numel() for weight in whole.parameters()) == 83_653_863


@pytest.mark.parametrize("naming", ["older", "newer"])
def test_both_namings_load(tmp_path: Path, vae: AutoencoderKL, naming: str) -> None:
    state = vae.state_dict()
    if naming == "older":
        for new, old in OLD_NAMES.items():
            state = {
                name.replace(f".{new}.", f".{old}.") if ".attentions." in name else name: value
                for name, value in state.items()
            }
        assert "encoder.mid_block.attentions.0.proj_attn.bias" in state
    path = tmp_path / "vae.safetensors"
    save_file(state, path)
    loaded = load_vae(path, TINY)
    for name, value in vae.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)
    assert not loaded.training


def test_only_attentions_are_renamed() -> None:
    weight = torch.zeros(1)
    kept = {"text.key.weight": weight, "a.attentions.0.to_q.weight": weight}
    assert rename_attention(kept) == kept


def test_another_codec_is_refused(tmp_path: Path, vae: AutoencoderKL) -> None:
    path = tmp_path / "vae.safetensors"
    save_file(vae.state_dict(), path)
    wider = VAEParams(widths=(32, 96), layers=1)
    with pytest.raises(InputError, match=r"of the VAE's \d+ tensors in another shape, such as"):
        load_vae(path, wider)
    deeper = VAEParams(widths=(32, 64), layers=2)
    with pytest.raises(InputError, match=r"vae.safetensors lacks \d+ of the VAE's \d+ tensors"):
        load_vae(path, deeper)
