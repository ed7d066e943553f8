"""Elicitation markers: phrases that ask a model for its way of thinking, for training material, or around its rules.

A marker is a bit, set when one of its phrases occurs in the normalised prompt (lower case, runs of white space as one
space). A marker alone proves nothing: audit applications ask for explanations too (DETECTION.md, benign twins).
"""

# ruff: noqa: RUF001 - other languages have other letters

from __future__ import annotations

from enum import IntFlag
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.base.jit import inline
from pipeline.intake.text import SPACE, characters

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Marker(IntFlag):
    """Bits of the frame column `print_markers` (u16). Appended, never renumbered."""

    STEP_BY_STEP = 1 << 0
    SHOW_REASONING = 1 << 1  # explain, show or give the reasoning
    THINK_ALOUD = 1 << 2  # scratchpads, inner monologues, reasoning tags
    GRADING = 1 << 3  # rubrics, scores, the model as a judge
    IGNORE_PREVIOUS = 1 << 4  # instruction override
    STRUCTURED_OUTPUT = 1 << 5  # JSON lines and the like
    QA_GENERATION = 1 << 6
    SELF_INSTRUCT = 1 << 7  # come up with N tasks; training or synthetic data
    BULK_TRANSLATION = 1 << 8
    LOGPROBS = 1 << 9
    SYSTEM_PROMPT = 1 << 10
    REPHRASE = 1 << 11  # paraphrase in N ways
    MODEL_TRAINING = 1 << 12  # teacher and student models, distillation, fine-tuning
    TRACE_CONTINUATION = 1 << 13  # goes on from a reasoning trace
    MULTIPLE_CHOICE = 1 << 14  # benchmark items


REASONING = Marker.STEP_BY_STEP | Marker.SHOW_REASONING | Marker.THINK_ALOUD | Marker.LOGPROBS | Marker.TRACE_CONTINUATION
"""Markers that ask for how the model gets to its answer."""
MATERIAL = (
    Marker.GRADING
    | Marker.STRUCTURED_OUTPUT
    | Marker.QA_GENERATION
    | Marker.SELF_INSTRUCT
    | Marker.REPHRASE
    | Marker.MODEL_TRAINING
    | Marker.MULTIPLE_CHOICE
)
"""Markers that ask for training material."""

# Sources: the public prompt sets named in FIELD.md 2 (self-instruct, Alpaca-CoT, chain-of-thought suites), the cases of
# FIELD.md 1, and their usual wording in other languages. `#` stands for a number.
PHRASES: dict[Marker, tuple[str, ...]] = {
    Marker.STEP_BY_STEP: (
        "step by step", "step-by-step", "one step at a time", "stepwise", "let's think", "lets think", "think carefully", "一步一步",
        "一步步", "逐步", "分步骤", "шаг за шагом", "пошагово", "крок за кроком", "paso a paso", "schritt für schritt",
        "étape par étape", "pas à pas", "ステップバイステップ", "段階的に", "順を追って", "단계별로", "차근차근", "단계적으로",
        "passo a passo", "passo dopo passo", "خطوة بخطوة", "خطوة خطوة", "चरण दर चरण", "कदम दर कदम", "चरणबद्ध", "adım adım",
        "từng bước", "krok po kroku", "stap voor stap", "langkah demi langkah", "βήμα προς βήμα", "βήμα βήμα", "ทีละขั้น",
        "pas cu pas",
    ),
    Marker.SHOW_REASONING: (
        "show your reasoning", "explain your reasoning", "give your reasoning", "your reasoning", "show your work", "show all work",
        "show all your work", "reasoning process", "thought process", "chain of thought", "chain-of-thought", "train of thought",
        "use reasoning to", "give a rationale", "give the rationale", "provide a rationale", "your rationale", "explain how you",
        "justify your answer", "justify each step", "reason through", "explain each step", "lead to the answer",
        "explain your answer", "answer explanation", "with reasoning", "reasoning first", "let me think", "before giving your answer",
        "before you answer", "before answering", "推理过程", "思考过程", "思维链", "解题过程", "解释你的推理", "說明推理", "推理過程",
        "ход рассуждений", "ход мыслей", "цепочка рассуждений", "цепочку рассуждений", "объясни свои рассуждения",
        "объясните свои рассуждения", "muestra tu razonamiento", "explica tu razonamiento", "tu razonamiento",
        "cadena de pensamiento", "gedankenkette", "gedankengang", "denkprozess", "erkläre deine überlegungen",
        "begründe deine antwort", "begründe jeden schritt", "ton raisonnement", "votre raisonnement", "chaîne de pensée", "思考過程",
        "推論過程", "思考の連鎖", "추론 과정", "사고 과정", "풀이 과정", "사고의 연쇄", "seu raciocínio", "cadeia de pensamento",
        "il tuo ragionamento", "سلسلة التفكير", "عملية التفكير", "خطوات التفكير", "اشرح تفكيرك", "اشرح استدلالك", "तर्क प्रक्रिया",
        "विचार प्रक्रिया", "अपना तर्क", "düşünce zinciri", "akıl yürütme", "düşünce sürecini", "chuỗi suy nghĩ", "quá trình suy luận",
        "quá trình suy nghĩ",
    ),
    Marker.THINK_ALOUD: (
        "think aloud", "think out loud", "thinking out loud", "inner monologue", "internal monologue", "stream of consciousness",
        "<think", "<scratchpad", "<reasoning", "scratchpad", "reasoning trace", "thinking trace", "thinking process",
        "hidden reasoning", "内心独白", "把你的思考", "думай вслух", "рассуждай вслух", "внутренний монолог", "piensa en voz alta",
        "monólogo interior", "denke laut", "innerer monolog", "pense à voix haute", "monologue intérieur", "内心の独白",
        "pense em voz alta", "monólogo interno", "sesli düşün", "suy nghĩ thành tiếng", "فكر بصوت عال",
    ),
    Marker.GRADING: (
        "rubric", "grade the following", "grade this", "grade each", "score from # to #", "scale of # to #", "scale from # to #",
        "score between # and #", "rate the following", "rate each", "act as a judge", "impartial judge", "evaluation criteria",
        "which response is better", "which answer is better", "better response", "评分标准", "打分", "评估标准", "критерии оценки",
        "по шкале от", "rúbrica", "criterios de evaluación", "en una escala de", "bewertungskriterien", "auf einer skala von",
        "grille d'évaluation", "critères d'évaluation", "sur une échelle de", "採点基準", "評価基準", "채점 기준", "평가 기준",
        "critérios de avaliação", "em uma escala de", "numa escala de", "معايير التقييم", "मूल्यांकन मानदंड",
        "değerlendirme kriterleri", "tiêu chí đánh giá",
    ),
    Marker.IGNORE_PREVIOUS: (
        "ignore previous", "ignore all previous", "ignore the previous", "ignore your previous", "ignore the above",
        "ignore all prior", "ignore prior", "disregard previous", "disregard the above", "disregard all", "disregard your",
        "forget all previous", "forget your instructions", "forget previous", "忽略之前", "忽略以上", "忽略上述", "无视之前",
        "忽略前面", "игнорируй предыдущие", "игнорируй все предыдущие", "игнорируйте предыдущие", "забудь предыдущие",
        "забудь все предыдущие", "ignora las instrucciones", "ignora todas las instrucciones", "ignoriere alle vorherigen",
        "ignoriere die vorherigen", "ignoriere alle bisherigen", "vergiss alle vorherigen", "ignore les instructions",
        "ignorez les instructions", "ignore toutes les instructions", "指示を無視", "이전 지시를 무시", "이전 지시사항을 무시",
        "위의 지시를 무시", "모든 지시를 무시", "ignore as instruções", "ignore todas as instruções", "تجاهل التعليمات",
        "تجاهل جميع التعليمات", "निर्देशों को अनदेखा", "पिछले निर्देशों को", "önceki talimatları", "bỏ qua các hướng dẫn",
        "bỏ qua hướng dẫn", "bỏ qua tất cả hướng dẫn",
    ),
    Marker.STRUCTURED_OUTPUT: (
        "jsonl", "json lines", "ndjson", "json object per line", "in json", "as json", "json format", "json array", "valid json",
        "json schema", "formato json", "json-format", "format json", "json格式", "json 格式", "json形式", "json 형식", "формате json",
        "json formatında", "định dạng json", "تنسيق json", "json प्रारूप",
    ),
    Marker.QA_GENERATION: (
        "question-answer pair", "question answer pair", "question and answer pair", "q&a pair", "qa pair", "questions and answers",
        "generate questions", "generate # questions", "write # questions", "create # questions", "generate a question",
        "write a question", "问答对", "生成问答", "生成#个问题", "提出#个问题", "вопросов и ответов", "пары вопрос-ответ",
        "пар вопрос-ответ", "pares de preguntas", "preguntas y respuestas", "frage-antwort-paar", "fragen und antworten",
        "question-réponse", "questions-réponses", "questions et réponses", "質問と回答", "質問と答え", "qaペア", "질문과 답변",
        "질문-답변", "perguntas e respostas", "أسئلة وأجوبة", "سؤال وجواب", "प्रश्न और उत्तर", "प्रश्न-उत्तर", "soru-cevap", "soru cevap",
        "câu hỏi và câu trả lời",
    ),
    Marker.SELF_INSTRUCT: (
        "come up with a series of", "come up with # ", "come up with a set of", "diverse set of", "diverse task",
        "diverse instruction", "generate # ", "synthetic data", "synthetic example", "training data", "training example",
        "training sample", "instruction tuning", "instruction-tuning", "instruction-following", "instruction following", "seed task",
        "data generation", "training set", "训练数据", "合成数据", "训练样本", "生成#条", "生成#个", "指令数据", "指令微调",
        "обучающих данных", "обучающие данные", "синтетические данные", "сгенерируй # ", "datos de entrenamiento", "datos sintéticos",
        "genera # ", "trainingsdaten", "synthetische daten", "generiere # ", "données d'entraînement", "données synthétiques",
        "génère # ", "学習データ", "訓練データ", "合成データ", "학습 데이터", "훈련 데이터", "합성 데이터", "dados de treinamento",
        "dados sintéticos", "gere # ", "بيانات التدريب", "بيانات اصطناعية", "प्रशिक्षण डेटा", "eğitim verisi", "sentetik veri",
        "dữ liệu huấn luyện", "dữ liệu tổng hợp",
    ),
    Marker.BULK_TRANSLATION: (
        "translate the following", "translate this dataset", "translate each", "translate these", "翻译以下", "翻译下列", "将以下",
        "翻譯以下", "переведи следующ", "переведите следующ", "traduce el siguiente", "traduce lo siguiente",
        "traduce las siguientes", "übersetze den folgenden", "übersetze die folgenden", "übersetze folgende",
        "traduis le texte suivant", "traduisez le texte suivant", "traduis les phrases", "以下を翻訳", "次の文を翻訳",
        "以下の文章を翻訳", "다음을 번역", "다음 문장을 번역", "다음 텍스트를 번역", "traduza o seguinte", "traduza o texto",
        "traduza as seguintes", "ترجم النص التالي", "ترجم ما يلي", "निम्नलिखित का अनुवाद", "aşağıdaki metni çevir", "aşağıdaki cümle",
        "dịch đoạn văn sau", "dịch câu sau", "dịch văn bản sau",
    ),
    Marker.LOGPROBS: (
        "logprob", "log prob", "log-prob", "token probabilit", "probability of each token", "probabilities for each",
        "confidence for each", "top # tokens", "对数概率", "логарифм вероятност", "log-wahrscheinlichkeit", "対数確率", "로그 확률",
    ),
    Marker.SYSTEM_PROMPT: (
        "system prompt", "system message", "repeat everything above", "repeat the words above", "repeat the text above",
        "initial instructions", "your instructions verbatim", "系统提示", "系統提示", "системный промпт", "prompt del sistema",
        "systemprompt", "system-prompt", "prompt système", "システムプロンプト", "시스템 프롬프트", "prompt do sistema",
        "sistem istemi", "موجه النظام",
    ),
    Marker.REPHRASE: (
        "paraphrase", "rephrase the", "different ways to", "in different ways", "variations of the", "different versions of",
        "reword the", "rewrite the following", "改写", "同义句", "перефразируй", "перефразируйте", "parafrasea", "reformula ",
        "umformulier", "formuliere den folgenden", "paraphrasier", "reformule ", "言い換え", "바꿔 쓰", "바꾸어 쓰", "parafraseie",
        "أعد صياغة", "yeniden ifade et", "viết lại",
    ),
    Marker.MODEL_TRAINING: (
        "distill", "student model", "teacher model", "fine-tun", "finetun", "fine tune", "reward model", "preference data", "蒸馏",
        "微调", "дистилляц", "дообучен", "ファインチューニング", "蒸留", "파인튜닝", "미세 조정", "ajuste fino", "feinabstimmung",
        "ince ayar", "tinh chỉnh mô hình",
    ),
    Marker.TRACE_CONTINUATION: (
        "continue the reasoning", "continue your reasoning", "continue the thought", "continue thinking", "previous reasoning",
        "reasoning above", "reasoning so far", "complete the reasoning", "</think", "</reasoning", "</scratchpad", "继续推理",
        "继续思考", "продолжи рассуждение", "continúa el razonamiento", "setze die überlegung fort", "continue le raisonnement",
        "推論を続け", "추론을 계속", "continue o raciocínio",
    ),
    Marker.MULTIPLE_CHOICE: (
        "choose the correct", "select the correct", "choose the best", "pick the correct", "answer choices", "multiple choice",
        "multiple-choice", "answer options", "which of the following", "choose from the", "选择正确", "单项选择",
        "выберите правильный", "выбери правильный", "elige la respuesta", "elige la opción", "wähle die richtige", "choisis la bonne",
        "choisissez la bonne", "正しいものを選", "올바른 것을 고르", "옳은 것을 고르", "escolha a alternativa", "escolha a opção",
        "اختر الإجابة", "सही विकल्प", "doğru seçeneği", "chọn đáp án",
    ),
}  # fmt: skip
"""Phrases by marker, already in normalised form."""

BUCKETS = 8_192  # 2**13: the kernel keeps the top 13 bits
_SPREAD = 0x9E3779B97F4A7C15
IDEOGRAPHS = 0x2E80
"""From here on scripts are dense: two characters select a bucket; below, four do (no phrase there is shorter)."""


class Phrases(NamedTuple):
    """The phrases as arrays for the kernel: bucket of the first characters → phrases → code points."""

    bucket: NDArray[np.int32]
    """[BUCKETS + 1] first phrase of each bucket."""
    start: NDArray[np.int32]
    """[phrases + 1] first character of each phrase."""
    points: NDArray[np.uint32]
    """Characters (see `text`); `#` stands for a run of digits."""
    bits: NDArray[np.uint16]
    """[phrases] marker of each phrase."""


@inline
def bucket_of(text: NDArray[np.uint32], at: np.uint64) -> np.uint64:
    """Bucket of the characters at `text[at]`; `_bucket_of` is its twin outside kernels."""
    a, b = np.uint64(text[at]), np.uint64(text[at + np.uint64(1)])
    key = a ^ b << np.uint64(32)
    if a & np.uint64(0xFF_FFFF) < np.uint64(IDEOGRAPHS):
        c, d = np.uint64(text[at + np.uint64(2)]), np.uint64(text[at + np.uint64(3)])
        key = key * np.uint64(_SPREAD) ^ c ^ d << np.uint64(32)
    return key * np.uint64(_SPREAD) >> np.uint64(51)


def _bucket_of(characters: list[int]) -> int:
    a, b, c, d = (characters + [SPACE] * 4)[:4]
    key = a ^ b << 32
    if a & 0xFF_FFFF < IDEOGRAPHS:
        key = key * _SPREAD % 2**64 ^ c ^ d << 32
    return key * _SPREAD % 2**64 >> 51


def compile_phrases() -> Phrases:
    """Lay the phrases out by bucket; the order inside one is free, since every match sets its bit."""
    found = sorted((_bucket_of(characters(text)), characters(text), int(marker)) for marker, texts in PHRASES.items() for text in texts)
    bucket = np.searchsorted([b for b, _, _ in found], np.arange(BUCKETS + 1)).astype(np.int32)
    start = np.cumsum([0, *(len(text) for _, text, _ in found)]).astype(np.int32)
    points = np.array([c for _, text, _ in found for c in text], np.uint32)
    return Phrases(bucket, start, points, np.array([bit for _, _, bit in found], np.uint16))
