//! Painting an SVG and packing it: colours of a chart are few, so a picture has a palette where that loses nothing to speak of.

use super::DrawError;
use super::text::{BOLD, REGULAR};
use foldhash::fast::FixedState;
use png::{BitDepth, ColorType, DeflateCompression, Encoder, Filter};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

/// Colours of a palette.
const PALETTE: usize = 256;

static FONTS: LazyLock<Arc<fontdb::Database>> = LazyLock::new(|| {
    let mut fonts = fontdb::Database::new();
    fonts.load_font_data(REGULAR.to_vec());
    fonts.load_font_data(BOLD.to_vec());
    Arc::new(fonts)
});

/// PNG of an SVG.
pub(super) fn paint(svg: &str, (width, height): (u32, u32)) -> Result<Vec<u8>, DrawError> {
    let failed = |why: String| DrawError::Paint(why);
    let options =
        Options { fontdb: Arc::clone(&FONTS), font_family: "DejaVu Sans".to_owned(), ..Options::default() };
    let tree = Tree::from_str(svg, &options).map_err(|error| failed(error.to_string()))?;
    let mut pixels = Pixmap::new(width, height).ok_or(DrawError::Size(width, height))?;
    resvg::render(&tree, Transform::identity(), &mut pixels.as_mut());
    pack(&colours(&pixels), width, height).map_err(|error| failed(error.to_string()))
}

type Colour = [u8; 3];
/// By colour. Pixels are ours, so that the hash needs no secret.
type Colours<T> = HashMap<Colour, T, FixedState>;

/// Charts fill their ground, so nothing shines through.
fn colours(pixels: &Pixmap) -> Vec<Colour> {
    pixels.pixels().iter().map(|pixel| [pixel.red(), pixel.green(), pixel.blue()]).collect()
}

pub(super) fn pack(pixels: &[Colour], width: u32, height: u32) -> Result<Vec<u8>, png::EncodingError> {
    let (palette, indexes) = indexed(pixels);
    let mut out = Vec::with_capacity(32 << 10);
    let mut encoder = Encoder::new(&mut out, width, height);
    encoder.set_color(ColorType::Indexed);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_palette(palette.as_flattened().to_vec());
    encoder.set_filter(Filter::NoFilter);
    encoder.set_deflate_compression(DeflateCompression::Level(3));
    encoder.write_header()?.write_image_data(&indexes)?;
    Ok(out)
}

/// The most frequent colours, and for each pixel the nearest of them. Runs of one colour are looked up once.
fn indexed(pixels: &[Colour]) -> (Vec<Colour>, Vec<u8>) {
    let mut counts: Colours<usize> = HashMap::default();
    for run in pixels.chunk_by(|a, b| a == b) {
        if let Some(colour) = run.first() {
            *counts.entry(*colour).or_default() += run.len();
        }
    }
    let mut order: Vec<(Colour, usize)> = counts.into_iter().collect();
    // By colour too, so that the same picture always has the same bytes.
    order.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    let palette: Vec<Colour> = order.iter().take(PALETTE).map(|(colour, _)| *colour).collect();
    let places: Colours<u8> = order
        .iter()
        .enumerate()
        .map(|(place, (colour, _))| {
            let place = if place < PALETTE { place } else { nearest(colour, &palette) };
            (*colour, u8::try_from(place).unwrap_or(0))
        })
        .collect();
    let mut indexes = Vec::with_capacity(pixels.len());
    for run in pixels.chunk_by(|a, b| a == b) {
        let place = run.first().and_then(|colour| places.get(colour)).copied().unwrap_or(0);
        indexes.resize(indexes.len() + run.len(), place);
    }
    (palette, indexes)
}

fn nearest(colour: &Colour, palette: &[Colour]) -> usize {
    let distance = |other: &Colour| {
        let parts = colour.iter().zip(other).map(|(a, b)| i32::from(*a) - i32::from(*b));
        parts.map(|part| part * part).sum::<i32>()
    };
    palette.iter().enumerate().min_by_key(|(_, other)| distance(other)).map_or(0, |(place, _)| place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_colours_become_the_nearest() {
        let pixels: Vec<Colour> = (0..=999_u32).map(|n| [(n % 256) as u8, (n / 4) as u8, 7]).collect();
        let (palette, indexes) = indexed(&pixels);
        assert_eq!((palette.len(), indexes.len()), (PALETTE, pixels.len()));
        for (pixel, index) in pixels.iter().zip(&indexes) {
            let kept = palette[usize::from(*index)];
            assert!(palette.contains(pixel) == (kept == *pixel));
        }
    }
}
