//! What a device says of the models that it runs.

use crate::counts::{ModelKey, ModelTotals};
use crate::device::{Context, Device};
use crate::protocol::{Label, Model, Quality};
use crate::values::Series;

impl Device {
    /// What the model did on this device; none when it is one model too many.
    pub(crate) fn model(
        &mut self,
        name: &Label,
        quantization: Option<Label>,
        context: &mut Context<'_>,
    ) -> Option<&mut ModelTotals> {
        let key = ModelKey {
            model: name.clone(),
            platform: self.platform.clone(),
            quantization: quantization.unwrap_or_default(),
        };
        if !self.models.contains_key(&key) {
            if self.models.len() >= context.limits.most || *context.room < ModelTotals::SERIES {
                self.counts.series_dropped += 1;
                return None;
            }
            *context.room -= ModelTotals::SERIES;
        }
        Some(self.models.entry(key).or_default())
    }

    /// Takes what running a model took.
    pub(crate) fn take_model(&mut self, model: Model, context: &mut Context<'_>) {
        if let Some(totals) = self.model(&model.name, model.quantization.clone(), context) {
            totals.tokens = totals.tokens.saturating_add(model.tokens.unwrap_or(0));
            totals.seconds += model.seconds.unwrap_or(0.0);
            totals.joules += model.energy_joules.unwrap_or(0.0);
        }
        let name = model.name;
        if let Some(speed) = model.tokens_per_second {
            let series = Series::TokensPerSecond {
                model: name.clone(),
                quantization: model.quantization.unwrap_or_default(),
            };
            self.set(series, speed, context);
        }
        for (memory_type, kilobytes) in model.memory_kb {
            let model = name.clone();
            self.set(Series::ModelMemory { model, memory_type }, kilobytes, context);
        }
        for (input_length, milliseconds) in model.latency_p95_ms {
            let model = name.clone();
            self.set(Series::Latency { model, input_length }, milliseconds, context);
        }
    }

    /// Takes how good a model's answers are.
    pub(crate) fn take_quality(&mut self, quality: Quality, context: &mut Context<'_>) {
        let name = quality.model_name;
        for (dataset, score) in quality.accuracy {
            let model = name.clone();
            self.set(Series::Accuracy { model, dataset }, score, context);
        }
        for error in quality.quantization_errors {
            let series = Series::QuantizationError {
                model: name.clone(),
                bits: error.bits,
                method: error.method,
            };
            self.set(series, error.rate, context);
        }
    }
}
