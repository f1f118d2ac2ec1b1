"""Measure augmentation: views a second for whole batches against one image at a time through torchvision and Pillow.

    python bench/views.py                              # on one thread of the CPU
    python bench/views.py --threads 2 --seconds 3 --json views.json
    python bench/views.py --device cuda                # ours on a GPU, the others on the CPU

Prints its context and, last, one JSON object. On a CPU a second is one of its time, all threads together, so that other
work on the machine counts little. Ours is from raw integers on the device to network input, parameters
drawn anew each time; the others do the same to the same images one by one, as the published data loaders do in each
worker. kornia's batches are measured on true colour. Also what the two ways to crop cost: sampling, and matrices.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageFilter
from torch import Tensor, nn
from torchvision import transforms
from torchvision.transforms.v2 import functional

from encoder.normalization import CACO, Normalizer, Step, default_steps
from encoder.pretraining import crops
from encoder.pretraining.views import Views, new_config
from stac.bands import RGB

TEN = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
SETUPS: dict[str, tuple[str, tuple[str, ...], tuple[Step, ...], int, int, float, int]] = {
    "published, true colour, 264 to 224": ("published", RGB, CACO, 264, 224, 255.0, 16),
    "published, true colour, 64": ("published", RGB, CACO, 64, 64, 255.0, 128),
    "published, ten bands, 64": ("published", TEN, default_steps(TEN), 64, 64, 10_000.0, 128),
    "spectral, ten bands, 64": ("spectral", TEN, default_steps(TEN), 64, 64, 10_000.0, 128),
}
"""Name → kind, bands, normalization, sides of image and view, raw value of reflectance 1, images a batch on a CPU."""


def new_images(rows: int, bands: int, side: int, full: float) -> Tensor:
    """Raw images with the contrast of land, seeded: uint8 or int16."""
    generator = torch.Generator().manual_seed(0)
    level = torch.rand((rows, bands, 1, 1), generator=generator) * 0.25 + 0.03
    noise = torch.randn((rows, bands, side, side), generator=generator) * 0.02
    return ((level + noise).clamp(0.001, 1) * full).ceil().to(torch.uint8 if full == 255 else torch.int16)


def best_per_second(run: Callable[[], object], count: int, seconds: float, cuda: bool = False) -> float:
    """Best of the passes that fit into some seconds, after one to warm up: a second of all threads, or of a GPU."""
    clock = time.perf_counter if cuda else time.process_time
    run()
    best, end = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < end or best == 0.0:
        start = clock()
        run()
        if cuda:
            torch.cuda.synchronize()
        best = max(best, count / max(clock() - start, 1e-9))
    return best


class PillowBlur:
    """The published blur."""

    def __call__(self, image: Image.Image) -> Image.Image:
        """Blur with half the chance."""
        if torch.rand(()) < 0.5:
            return image.filter(ImageFilter.GaussianBlur(float(torch.empty(()).uniform_(0.1, 2.0))))
        return image


def published_one_by_one(crop: int) -> Callable[[Tensor], Tensor]:
    """CACo's A and P on one 8-bit image, by torchvision on Pillow."""
    pipeline = transforms.Compose(
        [
            transforms.ToPILImage(),
            transforms.RandomApply([transforms.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
            transforms.RandomGrayscale(p=0.2),
            PillowBlur(),
            transforms.RandomHorizontalFlip(),
            transforms.RandomResizedCrop(crop, scale=(0.2, 1.0)),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    stretch = Normalizer(CACO[1:2], RGB)
    return lambda raw: pipeline(stretch(raw[None].float())[0].to(torch.uint8))  # type: ignore[no-any-return]


def bands_one_by_one(kind: str, crop: int, steps: Sequence[Step]) -> Callable[[Tensor], Tensor]:
    """The same changes to one image of any bands, by torchvision on tensors."""
    normalizer = Normalizer(steps, TEN)
    boxes = transforms.RandomResizedCrop

    def run(raw: Tensor) -> Tensor:
        x, u = raw.float(), torch.rand(6)
        if kind == "published" and u[0] < 0.8:
            x = x * (0.6 + 0.8 * u[1])
            mean = x.mean((1, 2), keepdim=True)
            x = mean + (0.6 + 0.8 * u[2]) * (x - mean)
        if kind == "published" and u[3] < 0.5:
            sigma = float(0.1 + 1.9 * u[4])
            x = functional.gaussian_blur(x, [2 * int(4 * sigma) + 1] * 2, [sigma, sigma])
        if kind == "spectral":
            x = x * (0.9 + 0.2 * u[1]) + 100 * u[2] * torch.linspace(1, 0.1, len(x))[:, None, None]
            x = x + torch.randn_like(x) * x.mean((1, 2), keepdim=True) / 100
            x = functional.vertical_flip(x) if u[3] < 0.5 else x
        x = functional.horizontal_flip(x) if u[5] < 0.5 else x
        scale = [0.2, 1.0] if kind == "published" else [0.5, 1.0]
        box = boxes.get_params(x, scale, [3 / 4, 4 / 3])
        return normalizer(functional.resized_crop(x, *box, [crop, crop], antialias=True)[None])[0]

    return run


def kornia_batch(crop: int) -> Callable[[Tensor], Tensor]:
    """Augmentation by kornia of true-colour batches, as near to the published one as it comes."""
    import kornia.augmentation as k

    pipeline = nn.Sequential(
        k.ColorJiggle(0.4, 0.4, 0.4, 0.1, p=0.8),
        k.RandomGrayscale(p=0.2),
        k.RandomGaussianBlur((17, 17), (0.1, 2.0), p=0.5),
        k.RandomHorizontalFlip(),
        k.RandomResizedCrop((crop, crop), scale=(0.2, 1.0)),
    )
    before, after = Normalizer(CACO[1:3], RGB), Normalizer(CACO[3:], RGB)
    return lambda raw: after(pipeline(before(raw.float())))  # type: ignore[no-any-return]


def measure(name: str, device: str, seconds: float) -> dict[str, Any]:
    """All figures of one setup, views a second."""
    kind, bands, steps, side, crop, full, rows = SETUPS[name]
    raw = new_images(rows, len(bands), side, full)
    views = Views(new_config(kind, side, crop), steps, bands, full, device)
    cuda, generator = device != "cpu", torch.Generator().manual_seed(1)
    batch = raw.repeat(max(1, 256 // rows) if cuda else 1, 1, 1, 1).to(device)
    record: dict[str, Any] = {"setup": name, "rows": len(batch)}
    for what, augment in (("crop_s", False), ("augmented_s", True)):
        record[what] = round(
            best_per_second(
                lambda a=augment: views(batch, views.draw(len(batch), generator), a), len(batch), seconds, cuda
            )
        )
    one = published_one_by_one(crop) if bands == RGB else bands_one_by_one(kind, crop, steps)
    few = raw[: max(1, rows // 4)]
    record["one_by_one_s"] = round(best_per_second(lambda: [one(image) for image in few], len(few), seconds))
    record["times_one_by_one"] = round(record["augmented_s"] / record["one_by_one_s"], 2)
    if bands == RGB:
        batched = kornia_batch(crop)
        record["kornia_s"] = round(best_per_second(lambda: batched(raw), rows, seconds))
    if crop >= side and not cuda:
        record["ways_to_crop_s"] = ways_to_crop(views, raw.float(), seconds)
    sys.stdout.write(json.dumps(record) + "\n")
    return record


def ways_to_crop(views: Views, x: Tensor, seconds: float) -> dict[str, int]:
    """Images a second cropped by sampling, and by matrices."""
    x, config = x[:8], views.config.crop
    draw = views.draw(len(x), torch.Generator().manual_seed(2)).columns() | {"sigma": torch.zeros(len(x))}
    return {
        way: round(
            best_per_second(
                lambda b=blurred: crops.crop_images(x, draw, config, plain=False, blurred=b), len(x), seconds / 2
            )
        )
        for way, blurred in (("sampling", False), ("matrices", True))
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Run the measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=2.0, help="time for each figure")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the JSON object here")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    context = {
        "device": torch.cuda.get_device_name() if args.device == "cuda" else platform.processor() or "CPU",
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    sys.stdout.write(json.dumps(context) + "\n")
    text = json.dumps({"context": context, "results": [measure(name, args.device, args.seconds) for name in SETUPS]})
    sys.stdout.write(text + "\n")
    if args.json:
        args.json.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
