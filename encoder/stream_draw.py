"""Drawing many windows of ready grounds at once: `stac.simulation.view` for batches.

The formulas are those of `stac.simulation`; what stands here gathers windows, turns them and keeps the images apart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from stac.simulation.classify import classify
from stac.simulation.covers import BANDS, BANDS_20M, SEA, WATER
from stac.simulation.light import lay_light, shade
from stac.simulation.optics import BLUR_20M, add_noise, blur_and_shift, reference, to_10m, to_20m, to_dn
from stac.simulation.render import Lookup, draw_ground, lay_changes, lay_flames, lay_ice, lay_snow, lay_water
from stac.simulation.sky import heading, lay_sky
from stac.simulation.smoke import ACTIVE
from stac.simulation.spectra import MATERIAL_SPECTRA
from stac.simulation.view import BAND_SHIFT, BANDS_10M, WATER_KINDS, WET_KINDS, level_water
from stac.simulation.weather import new_gains
from stac.simulation.winter import freeze_laid_water, frozen_part, hide_snow, laid_water

from .stream_country import KINDS, Country, wet_covers
from .stream_sky import COUNT, SIDE, Canvases, Front, Weather, new_sky, new_smoke

MARGIN = 8
"""Pixels drawn around a chip and cut off: the reach of the blur at 20 m."""

_FINE = tuple(BANDS.index(name) for name in BANDS_10M)
_COARSE = tuple(BANDS.index(name) for name in BANDS_20M)


@dataclass(frozen=True, eq=False)
class Scene:
    """What is decided about N images before they are drawn; each (N,) unless said otherwise."""

    side: int
    """Of the chips, pixels of 10 m."""
    ground: Tensor
    """int64, number of the ground."""
    row: Tensor
    """int64, of the chip's corner, even."""
    col: Tensor
    """int64, likewise."""
    turn: Tensor
    """int64, 0 to 7: 1 rows mirrored, 2 columns mirrored, 4 rows and columns exchanged."""
    slot: Tensor
    """int64, day."""
    change: Tensor
    """int64, number of the change that is drawn, -1 for none."""
    age: Tensor
    """float32, days since the change's start."""
    span: Tensor
    """float32, days from its start to its end."""
    weather: Weather
    snow_line: Tensor
    """float32, metres, infinite for none."""
    laden_line: Tensor
    """float32, metres, above which trees bear snow; infinite for none."""
    ice: Tensor
    """float32, cm on lakes."""
    level: Tensor
    """float32, water level above its mean, metres."""
    veer: Tensor
    """float32, degrees by which smoke drifts off the way that its fire runs."""
    shift: Tensor
    """float32 (N, 2), misregistration down and right, pixels."""
    burns: Tensor
    """bool, whether the change is a wildfire."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """N drawn chips of H × W."""

    images: Tensor
    """int16 (N, C, H, W), reflectance × 10,000."""
    scl: Tensor
    """uint8 (N, H/2, W/2)."""
    changed: Tensor
    """float32 (N,), part of the chip that the change has taken."""
    mask: Tensor
    """bool (N, H, W), the pixels that it has taken to half or more."""


class _Windows:
    """Layers of the grounds as N turned windows show them."""

    def __init__(self, country: Country, scene: Scene) -> None:
        """Find the windows' pixels."""
        self.side = scene.side + 2 * MARGIN
        self._country = country
        height, width = country.shape
        steps = torch.arange(self.side, device=scene.row.device)
        turned = (scene.turn >= 4)[:, None, None]
        first, second = steps[None, :, None], steps[None, None, :]
        row, col = torch.where(turned, second, first), torch.where(turned, first, second)
        down, right = _signs(scene.turn)
        row = torch.where(down[:, None, None] < 0, self.side - 1 - row, row) + (scene.row - MARGIN)[:, None, None]
        col = torch.where(right[:, None, None] < 0, self.side - 1 - col, col) + (scene.col - MARGIN)[:, None, None]
        self._find = Lookup((scene.ground[:, None, None] * height + row) * width + col, 1, batched=False)
        self._scene = scene

    def __call__(self, name: str) -> Tensor:
        """A layer, (N, side, side)."""
        found: Tensor = self._find(self._country.layers[name])
        return found

    def slopes(self) -> tuple[Tensor, Tensor]:
        """Rise towards the east and the north of the turned windows."""
        down, right = (sign.float()[:, None, None] for sign in _signs(self._scene.turn))
        turned = (self._scene.turn >= 4)[:, None, None]
        south, east = -self("north") * down, self("east") * right
        return torch.where(turned, south, east), -torch.where(turned, east, south)


def _signs(turn: Tensor) -> tuple[Tensor, Tensor]:
    """-1 where rows (columns) of the ground are mirrored, else 1; int64 (N,)."""
    return 1 - 2 * (turn % 2), 1 - 2 * (turn // 2 % 2)


def draw_images(country: Country, canvases: Canvases, scene: Scene, noise: torch.Generator) -> Drawn:
    """Draw N images.

    Args:
        country: Ready grounds.
        canvases: Noise for the skies.
        scene: What is decided.
        noise: The instrument's chance.
    """
    device, count = scene.row.device, len(scene.row)
    which, top, left = (
        torch.randint(0, high, (count,), generator=noise, device=device) for high in (COUNT, SIDE, SIDE)
    )
    place = (which, top, left)
    windows = _Windows(country, scene)
    image, changed, front = _draw_ground(country, canvases, scene, windows, place)
    drift = (BAND_SHIFT * torch.randn((2, count, len(BANDS)), generator=noise, device=device)).clamp(-0.3, 0.3)
    down, right = drift[0] + scene.shift[:, :1], drift[1] + scene.shift[:, 1:]
    fine = blur_and_shift(image[:, list(_FINE)], down[:, list(_FINE)], right[:, list(_FINE)])
    coarse = to_20m(image[:, list(_COARSE)])
    coarse = blur_and_shift(coarse, down[:, list(_COARSE)] / 2, right[:, list(_COARSE)] / 2, BLUR_20M)
    half = windows.side // 2
    sky = new_sky(canvases, scene.weather, place, half)
    density = torch.where(front.burning, torch.rand((count,), generator=noise, device=device), -1.0)
    sky = replace(sky, smoke=new_smoke(canvases, density, front, place, half))
    white, grey = (torch.from_numpy(MATERIAL_SPECTRA[name]).to(device) for name in ("cloud", "smoke"))
    lay_sky(coarse, _COARSE, sky, white, grey)
    lay_sky(fine, _FINE, sky.at_10m(), white, grey)
    gains = new_gains(torch.randn((count, 2 + len(BANDS)), generator=noise, device=device))
    _record(fine, _FINE, gains, scene, noise)
    _record(coarse, _COARSE, gains, scene, noise)
    seen = torch.empty((count, len(BANDS), half, half), device=device)
    seen[:, list(_COARSE)], seen[:, list(_FINE)] = coarse, to_20m(fine)
    specks = torch.rand((count, half, half), generator=noise, device=device)
    scl = classify(seen, sky, canvases.window("doubt", *place, half), specks)
    cut = slice(MARGIN, MARGIN + scene.side)
    small = slice(MARGIN // 2, (MARGIN + scene.side) // 2)
    images = torch.empty((count, len(BANDS), scene.side, scene.side), dtype=torch.int16, device=device)
    images[:, list(_FINE)] = to_dn(fine[..., cut, cut]).to(torch.int16)
    coarse = to_dn(coarse[..., small, small]).to(torch.int16)
    images[:, list(_COARSE)] = coarse.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    changed = changed[..., cut, cut]
    return Drawn(images, scl[..., small, small].to(torch.uint8), changed.mean(dim=(1, 2)), changed >= 0.5)


def _draw_ground(
    country: Country, canvases: Canvases, scene: Scene, windows: _Windows, place: tuple[Tensor, Tensor, Tensor]
) -> tuple[Tensor, Tensor, Front]:
    """Reflectance (N, C, side, side) as the sun lights it, how much the change has taken, its fire."""
    device = scene.row.device
    cover, texture = windows("cover").long(), windows("texture")
    rows = country.season_row(scene.ground, scene.slot)
    fields = windows("moist"), texture, windows("tint"), windows("dryness")
    image = draw_ground(rows[:, None, None] + cover, *fields, country.tables)
    wet = wet_covers(country.width, device)[cover]
    mud = torch.from_numpy(MATERIAL_SPECTRA["mud"]).to(device)
    lay_water(image, windows("shore"), wet, scene.level, level_water(_spectrum(country, rows, scene)), mud)
    snow = torch.from_numpy(MATERIAL_SPECTRA["snow"]).to(device)
    frozen = frozen_part(cover, scene.ice)
    lay_ice(image, frozen, snow)
    own = (windows("which") == scene.change[:, None, None]) & (scene.change >= 0)[:, None, None]
    first = country.look_row(scene.change.clamp_min(0), scene.slot)
    zone = first[:, None, None] + windows("zone").long()
    strength = windows("strength") * own
    onset = windows("onset")
    changed = lay_changes(image, strength, onset, zone, country.looks, texture, scene.age, scene.span)
    since = scene.age[:, None, None] - onset * scene.span[:, None, None]
    front = _find_front(onset, strength > 0, since, scene)
    burning = scene.burns[:, None, None] & (since >= 0) & (since < 0.4) & (texture > 0.8)
    lay_flames(image, strength * burning)
    flat = changed * _is_kind(country, scene.change, WATER_KINDS)
    water = laid_water(image, changed * _is_kind(country, scene.change, WET_KINDS))
    water = freeze_laid_water(image, water, scene.ice, snow)
    east, north = windows.slopes()
    east, north = east * (1 - flat), north * (1 - flat)
    height = windows("height")
    hidden = hide_snow(country.hidden[scene.ground[:, None, None], cover], height, scene.laden_line, frozen)
    hidden = hidden * (1 - changed) + water
    south = torch.tensor([-1.0 if biome.south else 1.0 for biome in country.biomes], device=device)[scene.ground]
    half = windows.side // 2
    ragged = to_10m(canvases.window("ragged", *place, half))
    lay_snow(image, height, north * south[:, None, None], hidden, ragged, scene.snow_line, snow)
    lay_light(image, shade(east, north, scene.weather.azimuth, scene.weather.elevation))
    return image, changed, front


def _is_kind(country: Country, change: Tensor, kinds: tuple[str, ...]) -> Tensor:
    """1 where an image's change is of one of some kinds, else 0; float32 (N, 1, 1)."""
    if not len(country.kind):
        return torch.zeros((len(change), 1, 1), device=change.device)
    kind = torch.from_numpy(country.kind).to(change.device)[change.clamp_min(0)]
    wanted = torch.tensor([KINDS.index(name) for name in kinds], device=change.device)
    return torch.isin(kind, wanted).float()[:, None, None]


def _find_front(onset: Tensor, burnt: Tensor, since: Tensor, scene: Scene) -> Front:
    """Where fires burn, from onset, burnt pixels and days since each pixel's turn (N, side, side)."""
    active = (burnt & (since >= 0) & (since < ACTIVE) & scene.burns[:, None, None]).float()
    count = active.sum(dim=(1, 2))
    steps = torch.arange(active.shape[-1], device=active.device, dtype=torch.float32)
    row, col = ((active.sum(dim=side) * steps).sum(dim=1) / count.clamp_min(1) / 2 for side in (2, 1))
    wind = heading(onset, burnt).float() + scene.veer
    return Front(row, col, wind, (count > 0) & (scene.age <= scene.span))


def _spectrum(country: Country, rows: Tensor, scene: Scene) -> Tensor:
    """Reflectance (N, C) of the water that rises and falls: the sea's on coasts, otherwise the lake's."""
    kinds = torch.tensor([SEA if biome.sea else WATER for biome in country.biomes], device=rows.device)
    row = rows + kinds[scene.ground]
    tables = country.tables
    return tables.poor[row] + tables.green[row][:, None] * (tables.rich[row] - tables.poor[row])


def _record(image: Tensor, bands: tuple[int, ...], gains: Tensor, scene: Scene, noise: torch.Generator) -> None:
    """Gain (N, C) and noise of the instrument, in place: see `stac.simulation.view`."""
    device = image.device
    up = torch.sin(torch.deg2rad(scene.weather.elevation.clamp_min(15.0)))[:, None, None]
    for place, b in enumerate(bands):
        band = image[:, place]
        band *= gains[:, b, None, None]
        level, sigma = reference(BANDS[b], 90.0)
        add_noise(band, torch.randn(band.shape, generator=noise, device=device), level / up, sigma / up)
