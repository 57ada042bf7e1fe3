//! Plots, as SVG: text that is reviewed and compared as the rest of the page is.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::{
    coord::ranged1d::{IntoSegmentedCoord, SegmentValue},
    prelude::*,
};

use super::tables::{self, Scale};
use crate::{
    figures::Figures,
    question::{Contender, Direction, Mode, Setup, Traffic, Wiring},
    schedule::SMALL_V4,
};

const SIZE: (u32, u32) = (880, 420);
const FONT: (&str, u32) = ("sans-serif", 14);
/// How many ports there are in [`bars`].
const PORTS: u8 = 2;

const fn colour(contender: Contender) -> RGBColor {
    match contender {
        Contender::Bare => RGBColor(120, 120, 120),
        Contender::Bonding => RGBColor(80, 80, 80),
        Contender::Team => RGBColor(170, 170, 170),
        Contender::Aggctl(Wiring::Over) => RGBColor(0, 158, 115),
        Contender::Aggctl(Wiring::OverTeam) => RGBColor(230, 159, 0),
        Contender::Aggctl(Wiring::Shared) => RGBColor(0, 114, 178),
        Contender::Aggctl(Wiring::Direct) => RGBColor(213, 94, 0),
    }
}

/// A bar for each mode and contender: what is sent, and on top of it, paler, what is received.
///
/// # Errors
///
/// When it cannot be written.
pub fn bars(figures: &Figures, held: bool, file: &Path) -> Result<()> {
    let mut bars = Vec::new();
    for mode in Mode::ALL {
        for contender in tables::present(figures, mode) {
            let setup = Setup { contender, mode, ports: PORTS };
            let way = |direction| figures.over_bare(&setup, &Traffic { direction, held, ..SMALL_V4 });
            if let (Some(sent), Some(received)) = (way(Direction::Tx), way(Direction::Rx)) {
                bars.push((format!("{contender}\n{mode}"), contender, sent, received));
            }
        }
    }
    draw_bars(&bars, file).map_err(|error| anyhow!("cannot plot {}: {error}", file.display()))
}

fn draw_bars(
    bars: &[(String, Contender, f64, f64)],
    file: &Path,
) -> Result<(), DrawingAreaErrorKind<<SVGBackend<'static> as DrawingBackend>::ErrorType>> {
    let highest = bars.iter().map(|(_, _, sent, received)| sent + received).fold(1.0, f64::max);
    let height = 60 + 34 * u32::try_from(bars.len()).unwrap_or(u32::MAX).clamp(1, 100);
    let area = SVGBackend::new(file, (SIZE.0, height)).into_drawing_area();
    area.fill(&WHITE)?;
    let last = bars.len().saturating_sub(1);
    let mut chart = ChartBuilder::on(&area)
        .margin(8)
        .x_label_area_size(40)
        .y_label_area_size(210)
        .build_cartesian_2d(0.0..highest * 1.05, (0..last).into_segmented())?;
    let name = |place: &SegmentValue<usize>| match place {
        SegmentValue::CenterOf(index) | SegmentValue::Exact(index) => {
            bars.get(last - (*index).min(last)).map_or_else(String::new, |(name, ..)| name.replace('\n', ", "))
        }
        SegmentValue::Last => String::new(),
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .y_labels(bars.len().max(1))
        .y_label_formatter(&name)
        .x_desc("instructions for each frame over the bare port: TX, and RX (paler)")
        .label_style(FONT)
        .draw()?;
    chart.draw_series(bars.iter().enumerate().flat_map(|(index, (_, contender, sent, received))| {
        let place = last - index;
        let colour = colour(*contender);
        let bar = |from: f64, to: f64, style: ShapeStyle| {
            let corners = [(from, SegmentValue::Exact(place)), (to, SegmentValue::Exact(place + 1))];
            let mut bar = Rectangle::new(corners, style);
            bar.set_margin(4, 4, 0, 0);
            bar
        };
        [bar(0.0, *sent, colour.filled()), bar(*sent, sent + received, colour.mix(0.5).filled())]
    }))?;
    area.present()
}

/// A line for each contender, over numbers that grow by factors.
///
/// # Errors
///
/// When it cannot be written.
pub fn lines(scale: &Scale, file: &Path) -> Result<()> {
    draw_lines(scale, file).map_err(|error| anyhow!("cannot plot {}: {error}", file.display()))
}

fn draw_lines(
    scale: &Scale,
    file: &Path,
) -> Result<(), DrawingAreaErrorKind<<SVGBackend<'static> as DrawingBackend>::ErrorType>> {
    let points = || scale.lines.iter().flat_map(|(_, points)| points);
    let highest = points().map(|(_, value)| *value).fold(1.0, f64::max);
    let most = points().map(|(many, _)| *many).max().unwrap_or(1);
    let least = points().map(|(many, _)| *many).min().unwrap_or(1);
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .margin(8)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d((least..most).log_scale(), 0.0..highest * 1.1)?;
    chart
        .configure_mesh()
        .x_desc(format!("{} ({})", scale.what, scale.mode))
        .y_desc("instructions over the bare port")
        .label_style(FONT)
        .draw()?;
    for (contender, points) in &scale.lines {
        let colour = colour(*contender);
        chart
            .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)).point_size(3))?
            .label(contender.to_string())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.8))
        .label_font(FONT)
        .draw()?;
    area.present()
}
