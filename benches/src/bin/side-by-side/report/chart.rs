//! For the README: bars, in panels, as SVG that reads well on light and on dark.

use super::Report;
use crate::measure::{Better, Measure};
use std::fmt::Write;

/// What is drawn: two panels in a row.
const PANELS: [Measure; 6] = [
    Measure::TcpOneForth,
    Measure::UdpLargeLossless,
    Measure::UdpSmallLossless,
    Measure::PingBusy,
    Measure::CpuPerGigabit,
    Measure::MemoryMost,
];
const COLUMNS: usize = 2;

const WIDTH: usize = 880;
const MARGIN: usize = 20;
const GAP: usize = 40;
const PANEL_WIDTH: usize = (WIDTH - 2 * MARGIN - GAP) / COLUMNS;
/// Where bars begin, behind their labels, and how long the longest one is: a figure stands behind it.
const BAR_START: usize = 138;
const BAR_MAX: usize = PANEL_WIDTH - BAR_START - 56;
const BAR_HEIGHT: usize = 14;
const BAR_STEP: usize = 22;
/// Room above the bars of a panel, and below.
const PANEL_HEAD: usize = 36;
const PANEL_FOOT: usize = 22;
const HEAD: usize = 30;
const FOOT: usize = 44;

/// Colours of text, of our bars, of yardsticks and of peers; the second of each is for dark surroundings.
const STYLE: &str = "
    text { font: 12px system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif; fill: #59636e }
    .head { font-size: 15px; font-weight: 600; fill: #1f2328 }
    .title { font-weight: 600; fill: #1f2328 }
    .value { font-variant-numeric: tabular-nums; fill: #1f2328 }
    .ours { fill: #0b7f8a }
    .label.us { fill: #0b7f8a; font-weight: 600 }
    .yardstick { fill: #b8c4ce }
    .peer { fill: #8496a5 }
    .axis { stroke: #d1d9e0 }
    @media (prefers-color-scheme: dark) {
        text { fill: #9198a1 }
        .head, .title, .value { fill: #f0f6fc }
        .ours { fill: #2fc6d0 }
        .label.us { fill: #2fc6d0 }
        .yardstick { fill: #4a545e }
        .peer { fill: #748595 }
        .axis { stroke: #3d444d }
    }
";

/// A place for a panel.
#[derive(Clone, Copy)]
struct At {
    x: usize,
    y: usize,
}

impl Report {
    pub(crate) fn to_svg(&self) -> String {
        let panel_height = PANEL_HEAD + self.subjects.len() * BAR_STEP + PANEL_FOOT;
        let height = HEAD + PANELS.len().div_ceil(COLUMNS) * panel_height + FOOT;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
             height=\"{height}\" role=\"img\">\n<title>Tunnels side by side</title>\n<style>{STYLE}</style>\n"
        );
        write_text(&mut svg, "head", At { x: MARGIN, y: 20 }, "Tunnels in userspace, side by side");
        for (number, measure) in PANELS.into_iter().enumerate() {
            let (column, row) = (number % COLUMNS, number / COLUMNS);
            let at = At { x: MARGIN + column * (PANEL_WIDTH + GAP), y: HEAD + row * panel_height };
            self.write_panel(&mut svg, measure, at);
        }
        self.write_foot(&mut svg, height);
        svg.push_str("</svg>\n");
        svg
    }

    fn write_panel(&self, svg: &mut String, measure: Measure, at: At) {
        let better = if measure.better() == Better::More { "more" } else { "less" };
        let title = format!("{} ({}, {better} is better)", measure.title(), measure.unit().name());
        write_text(svg, "title", At { x: at.x, y: at.y + 24 }, &title);
        let medians: Vec<_> = (0..self.subjects.len()).map(|place| self.median(place, measure)).collect();
        let longest = medians.iter().copied().filter(|value| value.is_finite()).fold(0.0, f64::max);
        let (x, top) = (at.x + BAR_START, at.y + PANEL_HEAD);
        for (place, (subject, value)) in self.subjects.iter().zip(&medians).enumerate() {
            let y = top + place * BAR_STEP;
            let is_ours = Some(place) == self.ours();
            let label = if is_ours { "label us" } else { "label" };
            write_text(svg, label, At { x: at.x, y: y + 11 }, &subject.label);
            let share = if value.is_finite() && longest > 0.0 { value / longest } else { 0.0 };
            // What is very little is still seen.
            let length = (share * BAR_MAX as f64).max(1.5);
            let class = match subject.kind {
                kind if kind.is_tidegate() => "ours",
                crate::subject::Kind::Bare | crate::subject::Kind::BareAead => "yardstick",
                _ => "peer",
            };
            // Writing to a string does not fail.
            let _ = writeln!(
                svg,
                "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{length:.1}\" height=\"{BAR_HEIGHT}\" rx=\"2\"/>"
            );
            let behind = At { x: x + length as usize + 6, y: y + 11 };
            write_text(svg, "value", behind, &measure.unit().write(*value));
        }
        let bottom = top + self.subjects.len() * BAR_STEP - (BAR_STEP - BAR_HEIGHT);
        let _ = writeln!(
            svg,
            "<line class=\"axis\" x1=\"{x}\" y1=\"{}\" x2=\"{x}\" y2=\"{}\"/>",
            top - 3,
            bottom + 3
        );
    }

    fn write_foot(&self, svg: &mut String, height: usize) {
        let machine = &self.machine;
        let lines = [
            format!(
                "Both ends on one machine: {} cores of {}, Linux {}.",
                machine.cores, machine.processor, machine.kernel
            ),
            format!(
                "Medians of {} interleaved rounds; 1400 B inner MTU; AES-128-GCM unless said; the bare loop \
                 is a TUN-to-UDP forwarder and no VPN.",
                self.round_count()
            ),
        ];
        for (number, line) in lines.iter().enumerate() {
            write_text(svg, "foot", At { x: MARGIN, y: height - FOOT + 18 + number * 17 }, line);
        }
    }
}

fn write_text(svg: &mut String, class: &str, At { x, y }: At, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let _ = writeln!(svg, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{text}</text>");
}
